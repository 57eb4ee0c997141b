//! Readers of single values: each gives what is valid, or says what would be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::SpanParser;
use toml::de::DeValue;

use super::document::{Read, Table, Value, nearest, quoted};

/// A duration with its units, within these bounds.
pub(super) fn duration(min: Duration, max: Duration) -> impl Fn(&Value<'_>) -> Read<Duration> {
    move |value| {
        const EXPECTED: &str = "a duration with its unit, such as \"90s\", \"10min\" or \"1h 30m\"";
        let text = value.text(EXPECTED)?;
        // "01:30:00" would be valid for jiff; nobody should have to know which of them are the minutes.
        let parsed = SpanParser::new().parse_unsigned_duration(text).ok().filter(|_| !text.contains(':'));
        let duration = parsed.ok_or_else(|| value.not(EXPECTED))?;
        if (min..=max).contains(&duration) {
            return Ok(duration);
        }
        Err(value.wrong(out_of_range(text, spoken(min), spoken(max))))
    }
}

/// A duration as it can be written in the file.
pub(super) fn spoken(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}

/// A whole number within these bounds.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&Value<'_>) -> Read<T>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let given = value.raw().as_integer().ok_or_else(|| value.not("a whole number"))?;
        let parsed = i64::from_str_radix(given.as_str(), given.radix()).ok();
        let within = parsed.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
        within.ok_or_else(|| value.wrong(out_of_range(given, range.start(), range.end())))
    }
}

fn out_of_range(given: impl Display, min: impl Display, max: impl Display) -> String {
    format!("{given} is out of range; allowed is {min} to {max}")
}

/// A size in bytes with its unit.
pub(super) fn size(value: &Value<'_>) -> Read<u64> {
    const EXPECTED: &str = "a size with its unit, such as \"500MB\" or \"20GB\"";
    let text = value.text(EXPECTED)?;
    let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000_u64)];
    let parsed = units.into_iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?.trim_end();
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| plain)?.checked_mul(bytes)
    });
    parsed.ok_or_else(|| value.not(EXPECTED))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value<'_>) -> Read<T> {
    move |value| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of \"{}\"", known.join("\", \""));
        let text = value.text(&expected)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| match nearest(text, &known) {
            Some(near) => value.wrong(format!("{} is unknown; did you mean {near:?}?", quoted(text))),
            None => value.not(&expected),
        })
    }
}

/// A text that follows a rule; the rule reads on from "expected".
pub(super) fn ruled(rule: &'static str, valid: fn(&str) -> bool) -> impl Fn(&Value<'_>) -> Read<String> {
    move |value| {
        let text = value.text(rule)?;
        if valid(text) { Ok(text.to_owned()) } else { Err(value.not(rule)) }
    }
}

/// A text that is not empty and fits into an argument or a variable of the environment.
pub(super) fn plain(value: &Value<'_>) -> Read<String> {
    ruled("a text that is not empty", |text| !text.is_empty() && !text.contains('\0'))(value)
}

/// What a relative path is.
pub(super) const RELATIVE: &str = "a relative path without \".\" or \"..\"";

/// A path below the release or below another folder: never out of it.
pub(super) fn relative(value: &Value<'_>) -> Read<PathBuf> {
    ruled(RELATIVE, |text| !text.is_empty() && is_below(text))(value).map(PathBuf::from)
}

/// Like `relative`, where "" stands for the folder itself.
pub(super) fn relative_or_empty(value: &Value<'_>) -> Read<PathBuf> {
    ruled("\"\" or a relative path without \".\" or \"..\"", is_below)(value).map(PathBuf::from)
}

/// Whether it stays in the folder that it is relative to, without detours.
pub(super) fn is_below(text: &str) -> bool {
    !text.contains(char::is_control) && Path::new(text).components().all(|part| matches!(part, Component::Normal(_)))
}

/// A file of root's.
pub(super) fn absolute(value: &Value<'_>) -> Read<PathBuf> {
    ruled("an absolute path without \"..\"", is_absolute)(value).map(PathBuf::from)
}

/// Whether it names something from `/` on, without detours.
pub(super) fn is_absolute(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|below| !below.is_empty() && is_below(below))
}

/// A command: the program and its arguments, word by word; there is no shell that would split or expand them.
pub(super) fn command(value: &Value<'_>) -> Read<Vec<String>> {
    let expected = "a command as a list of words, such as [\"python\", \"-m\", \"tool\"]";
    let word = ruled("a word of a command", |text| !text.contains('\0'));
    let argv = value.list(expected, word)?;
    match argv.first() {
        Some(program) if !program.is_empty() => Ok(argv),
        _ => Err(value.wrong(format!("the program is missing; expected {expected}"))),
    }
}

/// Commands in their order.
pub(super) fn commands(value: &Value<'_>) -> Read<Vec<Vec<String>>> {
    value.list("a list of commands, such as [[\"python\", \"-m\", \"tool\"]]", command)
}

/// A JSON pointer as RFC 6901 has it.
pub(super) fn pointer(value: &Value<'_>) -> Read<String> {
    ruled(POINTER, is_pointer)(value)
}

/// What a JSON pointer is.
pub(super) const POINTER: &str = "a JSON pointer, which starts with \"/\", such as \"/status\"";

/// Whether it is one that points into something.
pub(super) fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && !text.contains(char::is_control)
}

/// A value to compare with what an application answers in JSON.
pub(super) fn json(value: &Value<'_>) -> Read<serde_json::Value> {
    let expected = "a value that JSON has";
    Ok(match value.raw() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| value.not(expected))?.into()
        }
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            finite.ok_or_else(|| value.not(expected))?.into()
        }
        DeValue::Array(_) => value.list(expected, json)?.into(),
        DeValue::Table(_) => {
            let table = value.table(expected)?;
            let entries = table.entries().map(|(key, value)| Ok((key.to_owned(), json(&value)?)));
            serde_json::Value::Object(entries.collect::<Read<_>>()?)
        }
        DeValue::Datetime(_) => return Err(value.not(expected)),
    })
}

/// A table whose keys are data: each pair is read, in the order of the keys.
pub(super) fn pairs<'a, K: Ord, V>(
    expected: &str,
    read: impl Fn(&str, &Value<'a>) -> Read<(K, V)>,
) -> impl Fn(&Value<'a>) -> Read<std::collections::BTreeMap<K, V>> {
    move |value| value.table(expected)?.entries().map(|(key, value)| read(key, &value)).collect()
}

/// The only key of a table that must have exactly one.
pub(super) fn one_of<'k>(table: &Table<'_>, keys: &[&'k str]) -> Read<&'k str> {
    let mut present = keys.iter().copied().filter(|key| table.has(key));
    match (present.next(), present.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(table.wrong(format!("one of these is missing: {}", keys.join(", ")))),
        (Some(one), Some(other)) => Err(table.wrong(format!("{one} and {other} exclude each other; keep one"))),
    }
}
