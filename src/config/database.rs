//! `[database]`: what a deployment has to care for in PostgreSQL.

use std::time::Duration;

use super::document::{Read, Table, Value};
use super::settings::{Database, MigrationLane, Migrations};
use super::values::{choice, command, commands, duration, one_of, relative, ruled};

pub(super) fn read(value: &Value<'_>, quarantine_days: u32) -> Read<Database> {
    let table = value.table("a table, begun with [database]")?;
    table.known(&[
        "name",
        "owner",
        "lane",
        "timeout",
        "backup",
        "rehearse",
        "lock_budget",
        "max_window",
        "alembic",
        "django",
        "commands",
    ])?;
    let lanes = [("auto", MigrationLane::Auto), ("fenced", MigrationLane::Fenced), ("stop", MigrationLane::Stop)];
    let lane = table.optional("lane", choice(&lanes))?.unwrap_or(MigrationLane::Auto);
    Ok(Database {
        name: table.required("name", name)?,
        owner: table.required("owner", identifier)?,
        lane,
        migrations: migrations(&table)?,
        timeout: table
            .optional("timeout", duration(Duration::from_secs(1), Duration::from_hours(6)))?
            .unwrap_or(Duration::from_mins(10)),
        backup: table.optional("backup", |value| backup(value, lane))?.unwrap_or(true),
        rehearse: table.optional("rehearse", Value::yes_or_no)?.unwrap_or(true),
        lock_budget: table
            .optional("lock_budget", duration(Duration::from_millis(100), Duration::from_mins(1)))?
            .unwrap_or(Duration::from_secs(2)),
        max_window: table.optional("max_window", window)?.unwrap_or(Some(Duration::from_mins(1))),
        quarantine_days,
    })
}

fn window(value: &Value<'_>) -> Read<Option<Duration>> {
    if value.raw().as_str() == Some("none") {
        return Ok(None);
    }
    duration(Duration::from_secs(1), Duration::from_hours(24))(value).map(Some)
}

fn backup(value: &Value<'_>, lane: MigrationLane) -> Read<bool> {
    match (value.yes_or_no()?, lane) {
        (false, MigrationLane::Stop) => {
            Err(value.wrong("with lane = \"stop\" the backup is all there is to go back to; leave it on"))
        }
        (backup, _) => Ok(backup),
    }
}

fn name(value: &Value<'_>) -> Read<String> {
    let name = identifier(value)?;
    if ["postgres", "template0", "template1"].contains(&name.as_str()) {
        return Err(value.wrong(format!("{name:?} belongs to PostgreSQL itself; give the application its own")));
    }
    Ok(name)
}

/// Shorter than PostgreSQL allows: copies of the database are named after it.
fn identifier(value: &Value<'_>) -> Read<String> {
    let rule = "a name of letters, digits, '_' and '-', not starting with a digit or '-', at most 40 characters";
    ruled(rule, |text| {
        let rest = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        text.len() <= 40 && is_start(text) && text.bytes().all(rest)
    })(value)
}

fn is_start(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn migrations(table: &Table<'_>) -> Read<Migrations> {
    match one_of(table, &["alembic", "django", "commands"])? {
        "alembic" => alembic(&table.table("alembic")?),
        "django" => django(&table.table("django")?),
        _ => any_tool(&table.table("commands")?),
    }
}

fn alembic(table: &Table<'_>) -> Read<Migrations> {
    table.known(&["ini", "table", "before", "after"])?;
    Ok(Migrations::Alembic {
        ini: table.optional("ini", relative)?.unwrap_or_else(|| "alembic.ini".into()),
        table: table.optional("table", version_table)?.unwrap_or_else(|| "alembic_version".to_owned()),
        before: table.optional("before", commands)?.unwrap_or_default(),
        after: table.optional("after", commands)?.unwrap_or_default(),
    })
}

fn version_table(value: &Value<'_>) -> Read<String> {
    ruled("the name of a table, perhaps with a schema, such as \"public.alembic_version\"", |text| {
        let part = |part: &str| {
            is_start(part) && part.len() <= 63 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        text.split('.').count() <= 2 && text.split('.').all(part)
    })(value)
}

fn django(table: &Table<'_>) -> Read<Migrations> {
    table.known(&["manage", "before", "after"])?;
    Ok(Migrations::Django {
        manage: table.optional("manage", relative)?.unwrap_or_else(|| "manage.py".into()),
        before: table.optional("before", commands)?.unwrap_or_default(),
        after: table.optional("after", commands)?.unwrap_or_default(),
    })
}

fn any_tool(table: &Table<'_>) -> Read<Migrations> {
    table.known(&["pending", "run"])?;
    let run = |value: &Value<'_>| match commands(value)? {
        none if none.is_empty() => Err(value.wrong("no command is listed; at least one must migrate")),
        run => Ok(run),
    };
    Ok(Migrations::Commands { pending: table.required("pending", command)?, run: table.required("run", run)? })
}
