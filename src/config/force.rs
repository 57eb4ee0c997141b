//! What is in force: every setting of an application with its value, and where that stands.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::document::Document;
use super::manual::{self, Chapter, Entry};
use super::read::{parse, text_of};
use super::{ConfigError, Settings};
use crate::model::names::App;
use crate::paths;

/// All settings of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// Its file.
    pub file: PathBuf,
    /// Each table that counts, in the order of the example.
    pub tables: Vec<Shown>,
}

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// As it is written: `[backup]` or `[[probe.http]]`.
    pub head: &'static str,
    /// What it says, in the order of the example; a key that has neither a value nor a default is not here.
    pub settings: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// From the top of the file: `probe.http[0].url`.
    pub key: String,
    /// In its table.
    pub name: &'static str,
    /// The value.
    pub value: Value,
    /// The line on which it stands; `None`: it is a default.
    pub line: Option<usize>,
}

impl InForce {
    /// The settings of this name, `probe.http.url`: of a table that is there several times, each.
    #[must_use]
    pub fn of(&self, path: &str) -> Vec<&Setting> {
        let all = self.tables.iter().flat_map(|table| &table.settings);
        all.filter(|setting| manual::without_places(&setting.key) == path).collect()
    }
}

/// What is in force for an application.
///
/// # Errors
/// As for [`super::load`].
pub fn in_force(app: &App) -> Result<InForce, ConfigError> {
    let file = paths::settings(app);
    let text = text_of(app, &file)?;
    in_force_of(app, &file, &text)
}

/// The same, from the text of a file.
///
/// # Errors
/// The first thing that is wrong.
pub fn in_force_of(app: &App, file: &Path, text: &str) -> Result<InForce, ConfigError> {
    let settings = parse(app, file, text)?;
    let document = Document::new(file, text);
    let spans = document.tree()?;
    // It was read a moment ago, so it is TOML.
    let values: Table = toml::from_str(text).map_err(|error| ConfigError::of_file(file, error))?;
    let root = Given { key: String::new(), spans: spans.get_ref(), values: &values };
    let mut tables = Vec::new();
    for chapter in manual::chapters() {
        let given = chapter
            .path
            .split('.')
            .fold(vec![root.clone()], |from, part| from.iter().flat_map(|given| given.below(part)).collect());
        let mut shown: Vec<Shown> = given.iter().map(|given| chapter.shown(&document, given, &settings)).collect();
        if shown.is_empty() && chapter.always {
            let nothing = Given { key: chapter.path.clone(), spans: &DeTable::new(), values: &Table::new() };
            shown.push(chapter.shown(&document, &nothing, &settings));
        }
        tables.extend(shown.into_iter().filter(|shown| !shown.settings.is_empty()));
    }
    Ok(InForce { file: file.to_owned(), tables })
}

/// A table of the file: where everything stands, and what it is.
#[derive(Clone)]
struct Given<'a> {
    key: String,
    spans: &'a DeTable<'a>,
    values: &'a Table,
}

impl<'a> Given<'a> {
    /// The tables of this name in it: none, one, or as many as are listed.
    fn below(&self, part: &str) -> Vec<Self> {
        let key = if self.key.is_empty() { part.to_owned() } else { format!("{}.{part}", self.key) };
        match (self.spans.get(part).map(|spanned| spanned.get_ref()), self.values.get(part)) {
            (Some(DeValue::Table(spans)), Some(Value::Table(values))) => vec![Self { key, spans, values }],
            (Some(DeValue::Array(spans)), Some(Value::Array(values))) => {
                let both = spans.iter().zip(values).enumerate();
                let table = |(index, (spans, values)): (usize, (&'a toml::Spanned<DeValue<'a>>, &'a Value))| {
                    let key = format!("{key}[{index}]");
                    Some(Self { key, spans: spans.get_ref().as_table()?, values: values.as_table()? })
                };
                both.filter_map(table).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Chapter {
    fn shown(&self, document: &Document<'_>, given: &Given<'_>, settings: &Settings) -> Shown {
        let setting = |entry: &Entry| {
            let at = given.spans.get(entry.name).map(|spanned| document.line(spanned.span().start));
            let own = given.values.get(entry.name).cloned();
            let value = own.or_else(|| entry.default.clone()).or_else(|| looked_up(&entry.path, settings))?;
            Some(Setting { key: format!("{}.{}", given.key, entry.name), name: entry.name, value, line: at })
        };
        Shown { head: self.head, settings: self.entries.iter().filter_map(setting).collect() }
    }
}

/// Defaults that depend on other settings.
fn looked_up(path: &str, settings: &Settings) -> Option<Value> {
    match path {
        "push.repository" => Some(settings.push.repository.clone().into()),
        "backup.folders" => Some(settings.backup.folders.clone().into()),
        "probe.users" => settings.probe.users().map(Value::from),
        "gates.forge.api" => settings.gates.forge.as_ref().map(|forge| forge.api.clone().into()),
        "offsite.endpoint" => settings.offsite.as_ref().map(|offsite| offsite.endpoint.clone().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    fn shown(text: &str) -> InForce {
        in_force_of(&"tsh-erp".parse().unwrap(), Path::new("/etc/x.toml"), text).unwrap()
    }

    fn settings(text: &str) -> Settings {
        parse(&"tsh-erp".parse().unwrap(), Path::new("x.toml"), text).unwrap()
    }

    /// The same as a file.
    fn written(shown: &InForce) -> String {
        let lines = |table: &Shown| {
            let keys = table.settings.iter().map(|one| format!("{} = {}\n", one.name, one.value));
            format!("{}\n{}", table.head, keys.collect::<String>())
        };
        shown.tables.iter().map(lines).collect()
    }

    fn one<'a>(shown: &'a InForce, key: &str) -> Option<&'a Setting> {
        shown.tables.iter().flat_map(|table| &table.settings).find(|setting| setting.key == key)
    }

    const SMALL: &str = "[source]\nurl = \"https://forge.example/acme/erp.git\"\nbranch = \"main\"\n[service]\nuser = \"deploy\"\n\
        state = [\"uploads\"]\nunits = [{ name = \"a.service\", role = \"web\" }]\n\
        [[probe.http]]\nurl = \"http://127.0.0.1:8000/\"\n[[probe.http]]\nurl = \"http://127.0.0.1:8001/\"\ntimeout = \"5s\"\n";

    #[test]
    fn what_is_shown_is_what_is_in_force() {
        assert_eq!(settings(&written(&shown(EXAMPLE))), settings(EXAMPLE));
        let mut small = settings(SMALL);
        assert_eq!(written(&shown(SMALL)).matches("[[probe.http]]").count(), 2);
        // What users ask is looked up, and then as good as written.
        small.probe.users = Some("http://127.0.0.1:8000/".to_owned());
        assert_eq!(settings(&written(&shown(SMALL))), small);
    }

    #[test]
    fn each_value_says_where_it_stands() {
        let shown = shown(SMALL);
        let told = |key: &str| one(&shown, key).map(|setting| (setting.value.to_string(), setting.line));
        assert_eq!(told("source.branch"), Some(("\"main\"".into(), Some(3))));
        assert_eq!(told("service.units"), Some(("[{ name = \"a.service\", role = \"web\" }]".into(), Some(7))));
        assert_eq!(told("probe.http[1].timeout"), Some(("\"5s\"".into(), Some(12))));
        assert_eq!(told("probe.http[0].timeout"), Some(("\"2s\"".into(), None)));
        assert_eq!(told("backup.keep_days"), Some(("30".into(), None)));
        assert_eq!(told("push.repository"), Some(("\"acme/erp\"".into(), None)));
        assert_eq!(told("backup.folders"), Some(("[\"uploads\"]".into(), None)));
        assert_eq!(told("build.lock"), Some(("\"auto\"".into(), None)));
        // Without the table nothing of it counts; what is not set has no value.
        assert_eq!(told("database.lane"), None);
        assert_eq!(told("gates.ci.wait"), None);
        assert_eq!(told("probe.http[0].host"), None);
    }

    #[test]
    fn a_default_that_depends_on_others_is_looked_up() {
        let depends = |entry: &Entry| {
            let says = entry.says.iter().any(|text| text.contains("Default: ") && !text.contains("Default: none"));
            says && entry.default.is_none()
        };
        let mut found: Vec<String> = manual::chapters()
            .into_iter()
            .flat_map(|chapter| chapter.entries)
            .filter(depends)
            .map(|entry| entry.path)
            .collect();
        // Without them there is no value: the address's own name, nothing compared, what sendmail takes.
        found.retain(|path| {
            ![
                "probe.http.host",
                "probe.http.revision",
                "probe.http.schema",
                "notices.mail.from",
                "gates.promotion.since",
                "backup.encrypt_to",
            ]
            .contains(&path.as_str())
        });
        assert_eq!(found, ["push.repository", "backup.folders", "offsite.endpoint", "gates.forge.api", "probe.users"]);
    }
}
