//! `[build]`: how a release is made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{Read, Table, Value, quoted};
use super::settings::{Build, Lock, Project};
use super::values::{
    RELATIVE, choice, command, commands, duration, is_absolute, is_below, one_of, pairs, relative, relative_or_empty,
    ruled,
};

const KEYS: [&str; 11] = [
    "workdir",
    "venv",
    "python",
    "lock",
    "extra",
    "project",
    "wheels_only",
    "environment",
    "commands",
    "shared",
    "timeout",
];

pub(super) fn read(table: &Table<'_>) -> Read<Build> {
    table.known(&KEYS)?;
    let projects = [("no", Project::No), ("package", Project::Package), ("editable", Project::Editable)];
    let build = Build {
        workdir: table.optional("workdir", relative_or_empty)?.unwrap_or_default(),
        venv: table.optional("venv", relative)?.unwrap_or_else(|| ".venv".into()),
        python: table.optional("python", python)?.unwrap_or_else(|| "python3".to_owned()),
        lock: table.optional("lock", lock)?.unwrap_or(Lock::Auto),
        extra: table.optional("extra", |value| value.list("a list of requirements", requirement))?.unwrap_or_default(),
        project: table.optional("project", choice(&projects))?.unwrap_or(Project::No),
        wheels_only: table.optional("wheels_only", Value::yes_or_no)?.unwrap_or(false),
        environment: table.optional("environment", pairs("a table of variables", variable))?.unwrap_or_default(),
        commands: table.optional("commands", commands)?.unwrap_or_default(),
        shared: table.optional("shared", shared)?.unwrap_or_default(),
        timeout: table
            .optional("timeout", duration(Duration::from_secs(1), Duration::from_hours(6)))?
            .unwrap_or(Duration::from_mins(10)),
    };
    if build.lock == Lock::None && (build.project != Project::No || !build.extra.is_empty()) {
        return Err(table
            .wrong("lock = \"none\" makes no environment, so nothing can be installed by \"extra\" or \"project\""));
    }
    Ok(build)
}

fn python(value: &Value<'_>) -> Read<String> {
    ruled("the name of an interpreter, such as \"python3.11\", or its absolute path", |text| {
        let name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        is_absolute(text) || (text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(name))
    })(value)
}

fn lock(value: &Value<'_>) -> Read<Lock> {
    const EXPECTED: &str = r#""auto", "uv", "none", { requirements = "file" } or { command = ["word", …] }"#;
    match value.raw().as_str() {
        Some("auto") => return Ok(Lock::Auto),
        Some("uv") => return Ok(Lock::Uv),
        Some("none") => return Ok(Lock::None),
        _ => {}
    }
    let table = value.table(EXPECTED)?;
    table.known(&["requirements", "command"])?;
    match one_of(&table, &["requirements", "command"])? {
        "requirements" => table.required("requirements", relative).map(Lock::Requirements),
        _ => table.required("command", command).map(Lock::Command),
    }
}

/// Pinned, for a release must come out the same when it is built again; and never an option of pip's.
fn requirement(value: &Value<'_>) -> Read<String> {
    ruled("a pinned requirement, such as \"uvicorn==0.30.6\" or \"name @ https://…\"", |text| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && (text.contains("==") || text.contains(" @ "))
            && !text.contains(char::is_control)
    })(value)
}

pub(super) fn variable(name: &str, value: &Value<'_>) -> Read<(String, String)> {
    let rest = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if !name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') || !name.bytes().all(rest) {
        let rule = "A to Z, 0 to 9 and '_', not starting with a digit";
        return Err(value.wrong(format!("{} is not the name of a variable: {rule}", quoted(name))));
    }
    let text = ruled("a text", |text| !text.contains('\0'))(value)?;
    Ok((name.to_owned(), text))
}

fn shared(value: &Value<'_>) -> Read<BTreeMap<PathBuf, String>> {
    let expected = "a table, such as { \"static/uploads\" = \"uploads\" }";
    let mut links: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (path, folder) in value.table(expected)?.entries() {
        if path.is_empty() || !is_below(path) {
            return Err(folder.wrong(format!("expected {RELATIVE}, given {}", quoted(path))));
        }
        let place = PathBuf::from(path);
        // A link inside a linked folder would be made in the state of the application.
        if let Some(other) = links.keys().find(|other| other.starts_with(&place) || place.starts_with(other)) {
            return Err(folder.wrong(format!(
                "{} and {} overlap; link only the outer one",
                quoted(path),
                quoted(&other.to_string_lossy())
            )));
        }
        relative(&folder)?;
        links.insert(place, folder.text("a folder")?.to_owned());
    }
    Ok(links)
}
