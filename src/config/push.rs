//! `[push]`: what goes live by itself.

use std::time::Duration;

use reqwest::Url;

use super::document::{Read, Table, Value};
use super::service::unix_user;
use super::settings::{Push, Source};
use super::values::{choice, duration, ruled};
use crate::model::trigger::Forge;

pub(super) fn read(table: &Table<'_>, source: &Source) -> Read<Push> {
    table.known(&["webhook", "repository", "poll", "users"])?;
    let words = [("github", Some(Forge::Github)), ("gitlab", Some(Forge::Gitlab)), ("gitea", Some(Forge::Gitea))];
    let webhook = table.optional("webhook", choice(&[words[0], words[1], words[2], ("none", None)]))?.flatten();
    let repository = match table.optional("repository", repository)? {
        Some(named) => named,
        None => of_url(&source.url).to_owned(),
    };
    if webhook.is_some() && !is_repository(&repository) {
        return Err(
            table.wrong("webhooks name the repository, and source.url does not tell it; add the key \"repository\"")
        );
    }
    Ok(Push {
        webhook,
        repository,
        poll: table.optional("poll", poll)?.flatten(),
        users: table.optional("users", |value| value.list("a list of unix users", unix_user))?.unwrap_or_default(),
    })
}

fn poll(value: &Value<'_>) -> Read<Option<Duration>> {
    if value.raw().as_str() == Some("never") {
        return Ok(None);
    }
    duration(Duration::from_secs(10), Duration::from_hours(24))(value).map(Some)
}

fn repository(value: &Value<'_>) -> Read<String> {
    ruled("the repository as the forge names it, such as \"owner/name\"", is_repository)(value)
}

fn is_repository(text: &str) -> bool {
    text.len() <= 200
        && text.contains('/')
        && text
            .split('/')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
}

/// The path in a URL that was checked already, as a forge names it.
fn of_url(url: &str) -> &str {
    let path = match Url::parse(url) {
        Ok(_) => url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path),
        Err(_) => url.split_once(':').map_or("", |(_, path)| path),
    };
    path.trim_matches('/').trim_end_matches(".git")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_the_path_of_its_address() {
        for url in [
            "https://github.com/acme/erp.git",
            "https://github.com/acme/erp",
            "ssh://git@github.com/acme/erp.git",
            "ssh://git@forge.example:2222/acme/erp.git",
            "git@github.com:acme/erp.git",
        ] {
            assert_eq!(of_url(url), "acme/erp", "{url}");
        }
        assert_eq!(of_url("https://gitlab.com/group/sub/erp.git"), "group/sub/erp");
    }
}
