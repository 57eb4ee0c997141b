//! `[source]`: where the code comes from.

use std::time::Duration;

use reqwest::Url;

use super::document::{Read, Table, Value, quoted};
use super::settings::Source;
use super::values::{absolute, duration, is_absolute};
use crate::model::names::{BadName, Wanted};

const KNOWN_HOSTS: &str = "/etc/tsh-agent/known_hosts";

pub(super) fn read(table: &Table<'_>) -> Read<Source> {
    table.known(&["url", "branch", "key", "known_hosts", "timeout"])?;
    let (url, ssh) = table.required("url", url)?;
    if ssh && !table.has("key") {
        return Err(table.wrong("the URL is one for SSH, but the key \"key\", the file of the private key, is missing"));
    }
    Ok(Source {
        url,
        branch: table.required("branch", branch)?,
        key: table.optional("key", absolute)?,
        known_hosts: table.optional("known_hosts", absolute)?.unwrap_or_else(|| KNOWN_HOSTS.into()),
        timeout: table
            .optional("timeout", duration(Duration::from_secs(1), Duration::from_hours(1)))?
            .unwrap_or(Duration::from_mins(2)),
    })
}

fn branch(value: &Value<'_>) -> Read<String> {
    let text = value.text("the name of a branch")?;
    let branch: Wanted =
        text.parse().map_err(|bad: BadName| value.wrong(format!("{} is not valid: {}", quoted(text), bad.rule)))?;
    Ok(branch.into())
}

/// The URL of a repository, and whether it is reached through SSH.
fn url(value: &Value<'_>) -> Read<(String, bool)> {
    const EXPECTED: &str =
        "the URL of a repository: https://host/path, ssh://user@host/path, user@host:path or file:///path";
    let text = value.text(EXPECTED)?;
    // What was given is not repeated below: it may hold a password, and this message ends up in logs.
    let not = || value.wrong(format!("not {EXPECTED}"));
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(not());
    }
    if !text.contains("://") {
        return if is_scp(text) { Ok((text.to_owned(), true)) } else { Err(not()) };
    }
    let url = Url::parse(text).map_err(|error| value.wrong(format!("not a valid URL: {error}")))?;
    if url.password().is_some() || (url.scheme() == "https" && !url.username().is_empty()) {
        let advice = "everyone on this server can read it; use ssh:// with a deploy key";
        return Err(value.wrong(format!("the URL carries a user or password: {advice}")));
    }
    let somewhere = url.path().len() > 1;
    match url.scheme() {
        "https" if somewhere => Ok((text.to_owned(), false)),
        "ssh" if somewhere && url.has_host() && !url.username().is_empty() => Ok((text.to_owned(), true)),
        "file" if text.strip_prefix("file://").is_some_and(is_absolute) => Ok((text.to_owned(), false)),
        _ => Err(not()),
    }
}

/// `user@host:path`.
fn is_scp(text: &str) -> bool {
    let word = |text: &str| {
        !text.starts_with('-')
            && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    text.split_once('@').is_some_and(|(user, rest)| {
        rest.split_once(':')
            .is_some_and(|(host, path)| word(user) && word(host) && !path.is_empty() && !path.starts_with('-'))
    })
}
