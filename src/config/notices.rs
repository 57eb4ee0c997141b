//! `[notices]`: who is told about deployments.

use std::time::Duration;

use reqwest::Url;

use super::document::{Read, Table, Value, quoted};
use super::settings::{Channel, Notice, Notices};
use super::values::{absolute, choice, duration, plain, ruled};
use crate::model::names::{BadName, NoticeName};
use crate::model::notice::Moment;
use crate::model::outcome::Verdict;
use crate::model::trigger::Forge;

const KINDS: [&str; 9] = ["webhook", "slack", "discord", "telegram", "ntfy", "mail", "github", "gitlab", "gitea"];

pub(super) fn read(table: &Table<'_>) -> Read<Notices> {
    table.known(&[&["environment", "give_up"], &KINDS[..]].concat())?;
    let mut all: Vec<Notice> = Vec::new();
    for kind in KINDS {
        let expected = format!("a list of tables, each begun with [[notices.{kind}]]");
        let read = |value: &Value<'_>| {
            let table = value.table(&expected)?;
            notice(kind, &table).map(|notice| (notice, table.wrong("").line))
        };
        for (notice, line) in table.optional(kind, |value| value.list(&expected, read))?.unwrap_or_default() {
            if all.iter().any(|other| other.name == notice.name) {
                let problem = format!("{:?} is the name of two notices; give each its own", notice.name.as_str());
                return Err(super::ConfigError { line, ..table.wrong(problem) });
            }
            all.push(notice);
        }
    }
    let day = Duration::from_hours(24);
    Ok(Notices {
        environment: table.optional("environment", environment)?.unwrap_or_else(|| "production".to_owned()),
        give_up: table.optional("give_up", duration(Duration::from_mins(1), day * 7))?.unwrap_or(day),
        all,
    })
}

fn notice(kind: &str, table: &Table<'_>) -> Read<Notice> {
    let own: &[&str] = match kind {
        "webhook" | "ntfy" => &["on", "secret", "url"],
        "slack" | "discord" => &["on", "secret"],
        "telegram" => &["on", "secret", "url", "chat"],
        "mail" => &["on", "to", "from"],
        _ => &["secret", "url", "repository"],
    };
    table.known(&[&["name"], own].concat())?;
    Ok(Notice {
        name: table.required("name", name)?,
        on: table.optional("on", |value| value.list("a list of moments", moment))?.unwrap_or_else(ends),
        secret: match kind {
            "mail" => None,
            "ntfy" => table.optional("secret", absolute)?,
            _ => Some(table.required("secret", absolute)?),
        },
        channel: channel(kind, table)?,
    })
}

fn channel(kind: &str, table: &Table<'_>) -> Read<Channel> {
    let forge = |forge, usual: Option<&str>| {
        let url = match usual {
            Some(usual) => table.optional("url", url)?.unwrap_or_else(|| usual.to_owned()),
            None => table.required("url", url)?,
        };
        Ok(Channel::Forge { forge, url, repository: table.required("repository", repository)? })
    };
    match kind {
        "webhook" => Ok(Channel::Webhook { url: table.required("url", url)? }),
        "slack" => Ok(Channel::Slack),
        "discord" => Ok(Channel::Discord),
        "telegram" => Ok(Channel::Telegram {
            url: table.optional("url", url)?.unwrap_or_else(|| "https://api.telegram.org".to_owned()),
            chat: table.required("chat", plain)?,
        }),
        "ntfy" => Ok(Channel::Ntfy { url: table.required("url", url)? }),
        "mail" => {
            let to = |value: &Value<'_>| match value.list("a list of addresses", address)? {
                none if none.is_empty() => Err(value.wrong("nobody is listed")),
                to => Ok(to),
            };
            Ok(Channel::Mail { to: table.required("to", to)?, from: table.optional("from", address)? })
        }
        "github" => forge(Forge::Github, Some("https://api.github.com")),
        "gitlab" => forge(Forge::Gitlab, Some("https://gitlab.com/api/v4")),
        _ => forge(Forge::Gitea, None),
    }
}

/// The ends that a person wants to hear of: a deployment that gave way to a newer one is none.
fn ends() -> Vec<Moment> {
    let silent = [Moment::Accepted, Moment::Ended(Verdict::Superseded)];
    Moment::CHOICE.into_iter().map(|(_, moment)| moment).filter(|moment| !silent.contains(moment)).collect()
}

fn name(value: &Value<'_>) -> Read<NoticeName> {
    let text = value.text("the name of a notice")?;
    text.parse().map_err(|bad: BadName| value.wrong(format!("{} is not valid: {}", quoted(text), bad.rule)))
}

fn moment(value: &Value<'_>) -> Read<Moment> {
    choice(&Moment::CHOICE)(value)
}

fn environment(value: &Value<'_>) -> Read<String> {
    ruled("a word such as \"production\", of letters, digits and . _ - only", |text| {
        !text.is_empty() && text.len() <= 50 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    })(value)
}

fn repository(value: &Value<'_>) -> Read<String> {
    ruled("a repository such as \"owner/name\"", |text| {
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        text.contains('/') && text.len() <= 200 && text.split('/').all(part)
    })(value)
}

/// An address in a header of a mail: nothing in it may end the line or begin another address.
fn address(value: &Value<'_>) -> Read<String> {
    ruled("an address such as \"ops@example.com\"", |text| {
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
        text.len() <= 200
            && !text.starts_with('-')
            && text.split_once('@').is_some_and(|(name, host)| word(name) && word(host))
    })(value)
}

/// Tokens and texts do not travel in the clear, except to this machine itself.
fn url(value: &Value<'_>) -> Read<String> {
    const EXPECTED: &str = "a URL that begins with https://, or with http:// for a service on this machine";
    let text = value.text(EXPECTED)?;
    let odd = text.contains(|c: char| c.is_whitespace() || c.is_control());
    // What was given is not repeated: it may hold a password, and this message ends up in logs.
    let not = || value.wrong(format!("not {EXPECTED}"));
    let url = Url::parse(text).ok().filter(|_| !odd).ok_or_else(not)?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(value.wrong("the URL carries a user or password, which everyone on this server can read"));
    }
    match url.scheme() {
        "https" => Ok(text.trim_end_matches('/').to_owned()),
        "http" if here => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(not()),
    }
}
