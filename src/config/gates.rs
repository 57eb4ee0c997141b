//! `[gates]`: what must agree before a deployment goes on.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::document::{Read, Table, Value, quoted};
use super::values::duration;
use crate::model::gates::{Rules, Window, Windows};

const WEEK: Duration = Duration::from_hours(7 * 24);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(30 * 24);

pub(super) fn read(table: &Table<'_>) -> Read<Rules> {
    table.known(&["patience", "windows"])?;
    Ok(Rules { patience: wait(table, "patience", WEEK)?, windows: table.optional("windows", windows)? })
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
