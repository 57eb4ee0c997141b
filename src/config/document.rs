//! A TOML document whose every value knows its line and its key, so that whoever reads it can complain well.
//!
//! serde would be shorter, but it loses the key of a value, says "unknown field" without a suggestion, and
//! reports a missing key before the misspelt one that explains it.

use std::fmt::Display;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// What reading something gives.
pub(super) type Read<T> = Result<T, ConfigError>;

/// More than this is not a configuration but a mistake.
pub(super) const MAX_SIZE: usize = 64 * 1024;

/// The text of a file, to turn positions into lines.
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text }
    }

    /// The tree of the text; `root` reads it.
    pub(super) fn tree(&self) -> Read<Spanned<DeTable<'a>>> {
        if self.text.len() > MAX_SIZE {
            return Err(ConfigError::of_file(self.file, too_large()));
        }
        DeTable::parse(self.text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            let span = error.span().unwrap_or_default();
            let near = match self.text.get(span.clone()) {
                None | Some("") => String::new(),
                Some(text) => format!(", near {}", quoted(text)),
            };
            self.error(Some(span.start), "", format!("not valid TOML: {message}{near}"))
        })
    }

    pub(super) fn root(&'a self, tree: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { document: self, key: String::new(), at: None, entries: Some(tree.get_ref()) }
    }

    /// The line of a position, counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn error(&self, at: Option<usize>, key: &str, problem: impl Display) -> ConfigError {
        let line = at.map(|at| self.line(at));
        ConfigError { file: self.file.to_owned(), line, key: key.to_owned(), problem: problem.to_string() }
    }
}

pub(super) fn too_large() -> String {
    format!("larger than {} KiB; a configuration is a few kilobytes, so this must be another file", MAX_SIZE / 1024)
}

/// One table. One that is absent reads like one without keys: what it lacks is missing, what it may have is default.
pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    key: String,
    at: Option<usize>,
    entries: Option<&'a DeTable<'a>>,
}

impl<'a> Table<'a> {
    /// Refuses keys that nobody will read. Comes first: a misspelt key explains the missing one.
    pub(super) fn known(&self, known: &[&str]) -> Read<()> {
        let unknown = self.entries.into_iter().flatten().filter(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        let Some((key, _)) = unknown.min_by_key(|(key, _)| key.span().start) else { return Ok(()) };
        let advice = match nearest(key.get_ref(), known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let path = self.path(key.get_ref());
        Err(self.document.error(Some(key.span().start), &path, format!("unknown key; {advice}")))
    }

    /// A value that must be there.
    pub(super) fn required<T>(&self, key: &str, read: impl FnOnce(&Value<'a>) -> Read<T>) -> Read<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None if self.key.ends_with(']') => Err(self.wrong(format!("the key {key:?} is missing in this entry"))),
            None => Err(self.wrong(format!("the key {key:?} is missing; add it below [{}]", self.key))),
        }
    }

    /// A value that may be there.
    pub(super) fn optional<T>(&self, key: &str, read: impl FnOnce(&Value<'a>) -> Read<T>) -> Read<Option<T>> {
        self.get(key).map(|value| read(&value)).transpose()
    }

    /// A table below this one.
    pub(super) fn table(&self, key: &str) -> Read<Table<'a>> {
        match self.get(key) {
            Some(value) => value.table(&format!("a table, begun with [{}]", self.path(key))),
            None => Ok(Table { document: self.document, key: self.path(key), at: self.at, entries: None }),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All keys with their values, for tables whose keys are data.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries.into_iter().flatten().map(|(key, inner)| {
            let key = key.get_ref().as_ref();
            (key, Value { document: self.document, key: self.path(key), inner })
        })
    }

    /// Something is wrong with this table.
    pub(super) fn wrong(&self, problem: impl Display) -> ConfigError {
        self.document.error(self.at, &self.key, problem)
    }

    fn get(&self, key: &str) -> Option<Value<'a>> {
        let inner = self.entries?.get(key)?;
        Some(Value { document: self.document, key: self.path(key), inner })
    }

    fn path(&self, key: &str) -> String {
        let bare = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let key = if key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") };
        if self.key.is_empty() { key } else { format!("{}.{key}", self.key) }
    }
}

/// One value.
pub(super) struct Value<'a> {
    document: &'a Document<'a>,
    key: String,
    inner: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    pub(super) fn raw(&self) -> &'a DeValue<'a> {
        self.inner.get_ref()
    }

    pub(super) fn text(&self, expected: &str) -> Read<&'a str> {
        self.raw().as_str().ok_or_else(|| self.not(expected))
    }

    pub(super) fn yes_or_no(&self) -> Read<bool> {
        self.raw().as_bool().ok_or_else(|| self.not("true or false"))
    }

    pub(super) fn table(&self, expected: &str) -> Read<Table<'a>> {
        let entries = self.raw().as_table().ok_or_else(|| self.not(expected))?;
        Ok(Table { document: self.document, key: self.key.clone(), at: Some(self.at()), entries: Some(entries) })
    }

    pub(super) fn list<T>(&self, expected: &str, read: impl Fn(&Value<'a>) -> Read<T>) -> Read<Vec<T>> {
        let items = self.raw().as_array().ok_or_else(|| self.not(expected))?;
        let item =
            |(index, inner)| read(&Value { document: self.document, key: format!("{}[{index}]", self.key), inner });
        items.iter().enumerate().map(item).collect()
    }

    /// The value is of the wrong type.
    pub(super) fn not(&self, expected: &str) -> ConfigError {
        self.wrong(format!("expected {expected}, given {}", described(self.raw())))
    }

    /// Something else is wrong with the value.
    pub(super) fn wrong(&self, problem: impl Display) -> ConfigError {
        self.document.error(Some(self.at()), &self.key, problem)
    }

    fn at(&self) -> usize {
        self.inner.span().start
    }
}

fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A text as it can be shown to a person: escaped, and not longer than a line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What was probably meant: at most a third of it may be wrong.
pub(super) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(given, known);
    let near = known.iter().copied().min_by_key(|known| distance(known))?;
    (distance(near) <= near.len().div_ceil(3)).then_some(near)
}
