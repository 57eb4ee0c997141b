//! The settings of an application that `init` found on the server: the commented example, with its values. Pure.

use std::collections::BTreeMap;

use crate::config::{EXAMPLE, Role};
use crate::model::names::{App, UnitName};

/// What is known of an application, as it goes into its settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The repository.
    pub url: String,
    /// What is deployed.
    pub branch: String,
    /// The interpreter's packages: a requirements file below the checkout. `None`: found out by each build.
    pub requirements: Option<String>,
    /// Where the virtual environment is made.
    pub venv: Option<String>,
    /// The unix user.
    pub user: String,
    /// Its units.
    pub units: Vec<(UnitName, Role)>,
    /// Folders that it writes, linked into each release.
    pub state: Vec<String>,
    /// Those of them that others may read, such as nginx.
    pub public: Vec<String>,
    /// Its database.
    pub database: Option<KnownDatabase>,
    /// How it says that it is well.
    pub health: Health,
}

/// A database of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDatabase {
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// What migrates it.
    pub tool: Tool,
}

/// A tool for migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Alembic.
    Alembic,
    /// Django.
    Django,
}

/// What an application answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Where to ask.
    pub url: String,
    /// JSON pointer and text of what says that it is well.
    pub status: Option<(String, String)>,
    /// JSON pointer to the commit that answers.
    pub revision: Option<String>,
}

/// What becomes of a line of the example.
type Lines = BTreeMap<(&'static str, &'static str), Option<String>>;

/// The text of `/etc/tsh-agent/apps/<app>.toml`.
#[must_use]
pub fn compose(app: &App, known: &Known) -> String {
    let values = values(app, known);
    let off = tables_off(known);
    let mut out =
        format!("# Written by `tsh-agent init {app}` from what it found on this server; it is yours now.\n#\n");
    let mut table = "";
    let mut lines = EXAMPLE.lines();
    while let Some(line) = lines.next() {
        let switch = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
        let text = line.strip_prefix('#').filter(switch).unwrap_or(line);
        if text.starts_with('[') {
            table = text;
            let was_off = line != text;
            let is_off = off.iter().any(|(head, off)| *head == table && *off)
                || (was_off && !off.iter().any(|(head, _)| *head == table));
            out += &format!("{}{text}\n", if is_off { "#" } else { "" });
            continue;
        }
        let Some((key, value)) = text.split_once(" = ").filter(|(key, _)| switch(key)) else {
            // Only what stands above the first table names the example's own application.
            out += &format!(
                "{}\n",
                if table.is_empty() { line.replace("tsh-erp", app.as_str()) } else { line.to_owned() }
            );
            continue;
        };
        let mut old = text.to_owned();
        while old.matches('[').count() > value_end(&old) {
            let Some(more) = lines.next() else { break };
            old += &format!("\n{more}");
        }
        let table_off = off.iter().any(|(head, off)| *head == table && *off);
        out += &match values.get(&(table, key)) {
            _ if table_off => off_lines(&old),
            Some(Some(value)) => format!("{key} = {value}\n"),
            Some(None) => off_lines(&old),
            None if line != text => off_lines(&old),
            None => format!("{old}\n"),
        };
        let _ = value;
    }
    out
}

fn value_end(text: &str) -> usize {
    text.matches(']').count()
}

fn off_lines(text: &str) -> String {
    text.lines().map(|line| format!("#{line}\n")).collect()
}

fn tables_off(known: &Known) -> [(&'static str, bool); 3] {
    let tool = known.database.as_ref().map(|database| database.tool);
    [
        ("[database]", tool.is_none()),
        ("[database.alembic]", tool != Some(Tool::Alembic)),
        ("[database.django]", tool != Some(Tool::Django)),
    ]
}

fn values(app: &App, known: &Known) -> Lines {
    let ssh = !known.url.starts_with("https://") && !known.url.starts_with("file://");
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| text(word)).collect();
        (!words.is_empty()).then(|| format!("[{}]", words.join(", ")))
    };
    let shared: Vec<String> = known.state.iter().map(|folder| format!("{0} = {0}", text(folder))).collect();
    let database = |value: fn(&KnownDatabase) -> &str| known.database.as_ref().map(|database| text(value(database)));
    let Health { url, status, revision } = &known.health;
    [
        (("[source]", "url"), Some(text(&known.url))),
        (("[source]", "branch"), Some(text(&known.branch))),
        (("[source]", "key"), ssh.then(|| text(&format!("/etc/tsh-agent/credentials/{app}.key")))),
        (("[build]", "venv"), known.venv.as_deref().filter(|venv| *venv != ".venv").map(text)),
        (("[build]", "lock"), known.requirements.as_deref().map(|file| format!("{{ requirements = {} }}", text(file)))),
        (("[build]", "shared"), (!shared.is_empty()).then(|| format!("{{ {} }}", shared.join(", ")))),
        (("[service]", "user"), Some(text(&known.user))),
        (("[service]", "units"), Some(units(&known.units))),
        (("[service]", "state"), list(&known.state)),
        (("[service]", "public"), list(&known.public)),
        (("[database]", "name"), database(|database| &database.name)),
        (("[database]", "owner"), database(|database| &database.owner)),
        (("[[probe.http]]", "url"), Some(text(url))),
        (("[[probe.http]]", "json"), status.as_ref().map(|(at, is)| format!("{{ {} = {} }}", text(at), text(is)))),
        (("[[probe.http]]", "revision"), revision.as_deref().map(text)),
        (("[[probe.http]]", "schema"), None),
    ]
    .into()
}

fn units(units: &[(UnitName, Role)]) -> String {
    let role = |role: &Role| match role {
        Role::Web => "web",
        Role::Worker => "worker",
        Role::Timer => "timer",
    };
    let lines: Vec<String> = units
        .iter()
        .map(|(name, is)| format!("    {{ name = {}, role = \"{}\" }},\n", text(name.as_str()), role(is)))
        .collect();
    format!("[\n{}]", lines.concat())
}

/// As TOML writes it.
fn text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Migrations, Probe};

    fn known() -> Known {
        Known {
            url: "https://forge.example/shop.git".into(),
            branch: "release".into(),
            requirements: Some("requirements/prod.txt".into()),
            venv: Some("venv".into()),
            user: "shop".into(),
            units: vec![("shop.service".parse().unwrap(), Role::Web), ("shop.timer".parse().unwrap(), Role::Timer)],
            state: vec!["uploads".into(), "old \"logs\"".into()],
            public: vec!["uploads".into()],
            database: Some(KnownDatabase { name: "shop".into(), owner: "shop".into(), tool: Tool::Django }),
            health: Health {
                url: "http://127.0.0.1:9000/up".into(),
                status: Some(("/status".into(), "ok".into())),
                revision: None,
            },
        }
    }

    fn read(known: &Known) -> config::Settings {
        let app = "shop".parse().unwrap();
        let text = compose(&app, known);
        config::parse(&app, Path::new("shop.toml"), &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn what_was_found_is_what_the_settings_say() {
        let settings = read(&known());
        assert_eq!(
            (settings.source.url.as_str(), settings.source.branch.as_str()),
            ("https://forge.example/shop.git", "release")
        );
        assert_eq!(settings.source.key, None, "HTTPS has none");
        assert_eq!(settings.service.state, ["uploads", "old \"logs\""]);
        assert_eq!(settings.build.shared.len(), 2);
        assert_eq!(settings.all_units().count(), 2);
        let database = settings.database.unwrap();
        assert!(matches!(database.migrations, Migrations::Django { .. }), "{database:?}");
        let Probe::Http(http) = &settings.probe.probes[0] else { panic!("no probe by HTTP") };
        assert_eq!((http.url.as_str(), http.json.len(), &http.revision), ("http://127.0.0.1:9000/up", 1, &None));
    }

    #[test]
    fn without_a_database_there_is_no_table_for_one() {
        let settings = read(&Known { database: None, state: vec![], public: vec![], ..known() });
        assert!(settings.database.is_none() && settings.service.state.is_empty() && settings.build.shared.is_empty());
    }

    #[test]
    fn every_comment_of_the_example_is_kept() {
        let text = compose(&"tsh-erp".parse().unwrap(), &known());
        for line in EXAMPLE.lines().filter(|line| line.starts_with("# ")) {
            assert!(text.contains(line), "{line}");
        }
    }
}
