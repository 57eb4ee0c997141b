//! `[gates]`: what must agree before a deployment goes on.

use std::time::Duration;

use reqwest::Url;

use jiff::tz::TimeZone;

use super::document::{Read, Table, Value, quoted};
use super::values::{POINTER, absolute, choice, duration, is_pointer, json, pairs, plain, pointer, ruled};
use crate::model::gates::outside::RunState;
use crate::model::gates::{Approval, Ci, ForgeApi, PromotedFrom, Promotion, Rules, Signature, Window, Windows};
use crate::model::trigger::Forge;

const WEEK: Duration = Duration::from_hours(7 * 24);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(30 * 24);

pub(super) fn read(table: &Table<'_>) -> Read<Rules> {
    table.known(&["patience", "windows", "approval", "signature", "forge", "ci", "promotion"])?;
    Ok(Rules {
        patience: wait(table, "patience", WEEK)?,
        windows: table.optional("windows", windows)?,
        approval: table.optional("approval", approval)?,
        signature: table.optional("signature", signature)?,
        ci: table.optional("ci", |value| ci(value, table))?,
        promotion: table.optional("promotion", |value| promotion(value, table))?,
        forge: table.optional("forge", forge)?,
    })
}

fn wait(table: &Table<'_>, key: &str, default: Duration) -> Read<Duration> {
    Ok(table.optional(key, duration(SHORTEST, LONGEST))?.unwrap_or(default))
}

fn windows(value: &Value<'_>) -> Read<Windows> {
    let table = value.table("a table, begun with [gates.windows]")?;
    table.known(&["zone", "open", "wait"])?;
    Ok(Windows {
        zone: table.required("zone", zone)?,
        open: table.required("open", |value| match value.list("a list of windows", window)? {
            none if none.is_empty() => Err(value.wrong("no window is listed, so nothing could ever be deployed")),
            open => Ok(open),
        })?,
        wait: wait(&table, "wait", WEEK)?,
    })
}

fn zone(value: &Value<'_>) -> Read<TimeZone> {
    const EXPECTED: &str = "a time zone of the IANA database, such as \"Europe/Berlin\"";
    let text = value.text(EXPECTED)?;
    TimeZone::get(text).map_err(|_| value.wrong(format!("{} is not {EXPECTED}, or tzdata is missing", quoted(text))))
}

fn window(value: &Value<'_>) -> Read<Window> {
    let text = value.text("a window")?;
    text.parse().map_err(|bad| value.wrong(format!("{} is not valid: {bad}", quoted(text))))
}

/// The words of the triggers.
const TRIGGERS: [&str; 5] = ["person", "webhook", "poll", "post-receive", "api-key"];

fn approval(value: &Value<'_>) -> Read<Approval> {
    let table = value.table("a table, begun with [gates.approval]")?;
    table.known(&["required", "by_another", "wait"])?;
    let words = TRIGGERS.map(|word| (word, word));
    let required = |value: &Value<'_>| match value.list("a list of triggers", choice(&words))? {
        none if none.is_empty() => Err(value.wrong("no trigger is listed, so nothing would ever need approval")),
        required => Ok(required.into_iter().map(str::to_owned).collect()),
    };
    Ok(Approval {
        required: table.required("required", required)?,
        by_another: table.optional("by_another", Value::yes_or_no)?.unwrap_or(false),
        wait: wait(&table, "wait", Duration::from_hours(24))?,
    })
}

fn signature(value: &Value<'_>) -> Read<Signature> {
    let table = value.table("a table, begun with [gates.signature]")?;
    table.known(&["allowed_signers", "revoked"])?;
    Ok(Signature {
        allowed_signers: table
            .optional("allowed_signers", absolute)?
            .unwrap_or_else(|| "/etc/tsh-agent/allowed_signers".into()),
        revoked: table.optional("revoked", absolute)?,
    })
}

fn forge(value: &Value<'_>) -> Read<ForgeApi> {
    let table = value.table("a table, begun with [gates.forge]")?;
    table.known(&["kind", "repository", "api", "token"])?;
    let kinds = Forge::ALL.map(|forge| (forge.word(), forge));
    let kind = table.required("kind", choice(&kinds))?;
    let api = match (table.optional("api", url)?, kind) {
        (Some(api), _) => api.trim_end_matches('/').to_owned(),
        (None, Forge::Github) => "https://api.github.com".to_owned(),
        (None, Forge::Gitlab) => "https://gitlab.com/api/v4".to_owned(),
        (None, Forge::Gitea) => {
            return Err(table.wrong("the key \"api\" is missing, such as \"https://forge.example/api/v1\""));
        }
    };
    let repository = ruled("the path of a repository, such as \"owner/name\"", |text| {
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        text.len() <= 200 && text.split('/').count() >= 2 && text.split('/').all(part)
    });
    Ok(ForgeApi {
        kind,
        api,
        repository: table.required("repository", repository)?,
        token: table.optional("token", absolute)?,
    })
}

fn ci(value: &Value<'_>, gates: &Table<'_>) -> Read<Ci> {
    let table = value.table("a table, begun with [gates.ci]")?;
    table.known(&["checks", "accept", "wait", "every"])?;
    if !gates.has("forge") {
        return Err(table.wrong("there is no [gates.forge] that could be asked"));
    }
    let states = [RunState::Success, RunState::Neutral, RunState::Skipped].map(|state| (state.word(), state));
    let checks = |value: &Value<'_>| match value.list("a list of names of checks", plain)? {
        none if none.is_empty() => Err(value.wrong("no check is listed, so this gate would always agree")),
        checks => Ok(checks),
    };
    Ok(Ci {
        checks: table.required("checks", checks)?,
        accept: table
            .optional("accept", |value| value.list("a list of states", choice(&states)))?
            .unwrap_or_else(|| vec![RunState::Success]),
        wait: wait(&table, "wait", Duration::from_mins(30))?,
        every: every(&table, Duration::from_secs(15))?,
    })
}

fn promotion(value: &Value<'_>, gates: &Table<'_>) -> Read<Promotion> {
    let table = value.table("a table, begun with [gates.promotion]")?;
    table.known(&["url", "revision", "since", "json", "healthy", "wait", "every"])?;
    let environment = |value: &Value<'_>| Ok(value.text("a URL")?.strip_prefix("forge:").map(str::to_owned));
    let from = match table.required("url", environment)? {
        None => PromotedFrom::Url {
            url: table.required("url", url)?,
            revision: table.required("revision", pointer)?,
            since: table.optional("since", pointer)?,
            json: table
                .optional(
                    "json",
                    pairs("a table, such as { \"/status\" = \"ok\" }", |key, value| {
                        if is_pointer(key) {
                            Ok((key.to_owned(), json(value)?))
                        } else {
                            Err(value.wrong(format!("expected {POINTER}, given {}", quoted(key))))
                        }
                    }),
                )?
                .unwrap_or_default(),
        },
        Some(_) if !gates.has("forge") => return Err(table.wrong("there is no [gates.forge] that knows environments")),
        Some(environment) => PromotedFrom::Environment(environment),
    };
    Ok(Promotion {
        from,
        healthy: table.optional("healthy", duration(Duration::ZERO, LONGEST))?.unwrap_or(Duration::from_mins(10)),
        wait: wait(&table, "wait", Duration::from_hours(24))?,
        every: every(&table, Duration::from_secs(30))?,
    })
}

fn every(table: &Table<'_>, default: Duration) -> Read<Duration> {
    Ok(table.optional("every", duration(SHORTEST, Duration::from_hours(1)))?.unwrap_or(default))
}

/// In the clear only to this machine: a token goes along.
fn url(value: &Value<'_>) -> Read<String> {
    const EXPECTED: &str = "a URL that begins with https://, or with http:// and is on this machine";
    let text = value.text(EXPECTED)?;
    let local = |url: &Url| matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let odd = text.contains(|c: char| c.is_whitespace() || c.is_control());
    let url =
        Url::parse(text).ok().filter(|url| !odd && (url.scheme() == "https" || (url.scheme() == "http" && local(url))));
    match url {
        Some(url) if url.username().is_empty() && url.password().is_none() => Ok(text.to_owned()),
        // What was given is not repeated: it may hold a password.
        _ => Err(value.wrong(format!("not {EXPECTED}, without a user and password"))),
    }
}
