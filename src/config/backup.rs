//! `[backup]`: when the database is backed up, and which backups are kept.

use std::time::Duration;

use super::document::{Read, Table, Value};
use super::settings::Backup;
use super::values::{duration, number, relative, ruled, size};

pub(super) fn read(table: &Table<'_>, state: &[String]) -> Read<Backup> {
    table.known(&[
        "schedule",
        "keep_days",
        "min_keep",
        "max_bytes",
        "hash_limit",
        "max_age",
        "folders",
        "encrypt_to",
        "alarm",
    ])?;
    Ok(Backup {
        schedule: table.optional("schedule", schedule)?.unwrap_or_else(|| Some("03:15".to_owned())),
        keep_days: table.optional("keep_days", number(7..=3650))?.unwrap_or(30),
        min_keep: table.optional("min_keep", number(1..=1000))?.unwrap_or(5),
        max_bytes: table.optional("max_bytes", limit)?.unwrap_or(None),
        encrypt_to: table
            .optional("encrypt_to", |value| value.list("a list of recipients", recipient))?
            .unwrap_or_default(),
        folders: table.optional("folders", folders(state))?.unwrap_or_else(|| usual(state)),
        alarm: table.optional("alarm", alarm)?.unwrap_or(Some(Duration::from_hours(48))),
        hash_limit: table.optional("hash_limit", size)?.unwrap_or(20_000_000_000),
        max_age: table
            .optional("max_age", duration(Duration::from_mins(1), Duration::from_hours(24 * 365)))?
            .unwrap_or(Duration::from_hours(24)),
    })
}

/// From when on it is worth a warning that nothing newer is proven.
fn alarm(value: &Value<'_>) -> Read<Option<Duration>> {
    if value.raw().as_str() == Some("never") {
        return Ok(None);
    }
    duration(Duration::from_hours(1), Duration::from_hours(24 * 90))(value).map(Some)
}

/// systemd itself says whether it is one, when `init` writes it down; here, that it is only one line of one setting.
fn schedule(value: &Value<'_>) -> Read<Option<String>> {
    let rule = "a time as OnCalendar= of systemd has it, such as \"03:15\" or \"Mon..Fri 22:00\", or \"never\"";
    let text = ruled(rule, |text| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b" ,.:*/~+_-".contains(&b);
        !text.trim().is_empty() && text.len() <= 100 && text.bytes().all(known)
    })(value)?;
    Ok(Some(text).filter(|text| text != "never"))
}

/// What people put in cannot be made again; logs and caches can be done without.
fn usual(state: &[String]) -> Vec<String> {
    state.iter().filter(|folder| *folder == "uploads").cloned().collect()
}

/// A public key; the secret one must not stand in a file that everybody reads, so what was given is not repeated.
fn recipient(value: &Value<'_>) -> Read<String> {
    let expected = "a recipient of age, which begins with \"age1\"; `tsh-agent backup key` makes one";
    let text = value.text(expected)?;
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY") {
        return Err(value.wrong("this is a secret key, and everybody on this server can read it here: make a new one"));
    }
    let parsed = text.parse::<age::x25519::Recipient>();
    parsed.map(|_| text.to_owned()).map_err(|why| value.wrong(format!("not {expected} ({why})")))
}

/// Each is one of the application's own, or in one.
fn folders(state: &[String]) -> impl Fn(&Value<'_>) -> Read<Vec<String>> {
    move |value| {
        value.list("a list of folders", |value| {
            let folder = relative(value)?;
            let known = state.iter().any(|state| folder.starts_with(state));
            let text = folder.display().to_string();
            if known { Ok(text) } else { Err(value.wrong(format!("{text:?} is none of service.state, nor in one"))) }
        })
    }
}

fn limit(value: &Value<'_>) -> Read<Option<u64>> {
    if value.raw().as_str() == Some("none") { Ok(None) } else { size(value).map(Some) }
}
