//! What systemd says of a unit; anybody may ask.

use std::path::{Path, PathBuf};

use super::machine::run;

const PROPERTIES: &str = "--property=Id,LoadState,UnitFileState,ActiveState,SubState,NeedDaemonReload,User,Group,\
                          WorkingDirectory,ExecStart,EnvironmentFiles,MainPID,ControlGroup,MemoryCurrent,MemoryMax,\
                          ProtectSystem,Result,NRestarts";

/// What `systemctl show` says of a unit.
#[derive(Debug)]
pub struct Shown {
    /// The unit.
    pub name: String,
    pairs: Vec<(String, String)>,
}

impl Shown {
    /// Asks.
    #[must_use]
    pub fn of(unit: &str) -> Self {
        // Without an answer nothing is known of it, which is found out by its empty LoadState.
        Self::parse(unit, &run(&["systemctl", "show", PROPERTIES, "--", unit], "").unwrap_or_default())
    }

    /// Every service and timer that there is a file of, but for templates.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let list = ["systemctl", "list-unit-files", "--type=service,timer", "--no-legend", "--plain", "--no-pager"];
        let listed = run(&list, "").unwrap_or_default();
        let names =
            listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| !name.contains("@."));
        let mut argv = vec!["systemctl", "show", PROPERTIES, "--"];
        argv.extend(names);
        let said = run(&argv, "").unwrap_or_default();
        said.split("\n\n").map(|text| Self::parse("", text)).filter(|unit| !unit.name.is_empty()).collect()
    }

    /// From what it prints.
    #[must_use]
    pub fn parse(unit: &str, text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let id = pairs.iter().find(|(key, _)| key == "Id").map(|(_, id)| id.clone());
        Self { name: if unit.is_empty() { id.unwrap_or_default() } else { unit.to_owned() }, pairs }
    }

    /// A property; empty if it has none.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        self.values(key).next().unwrap_or_default()
    }

    /// A property that is there several times.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// Its load state as a person reads it.
    #[must_use]
    pub fn load(&self) -> &str {
        match self.value("LoadState") {
            "not-found" => "not there",
            "" => "not known: systemctl does not answer",
            other => other,
        }
    }

    /// The programs it starts, as they are written in the unit.
    pub fn programs(&self) -> impl Iterator<Item = &str> {
        self.values("ExecStart").filter_map(|value| value.split_once("path=")?.1.split(" ;").next())
    }

    /// The command that it starts, as one line.
    #[must_use]
    pub fn command(&self) -> &str {
        let value = self.value("ExecStart");
        value.split_once("argv[]=").map_or("", |(_, rest)| rest.split(" ;").next().unwrap_or_default())
    }

    /// The folder it works in; `None` for the root.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        let folder = self.value("WorkingDirectory").trim_start_matches(['!', '-']);
        (folder.len() > 1 && folder.starts_with('/')).then(|| Path::new(folder))
    }

    /// The files that PID 1 reads its environment from, and whether each must be there.
    pub fn environments(&self) -> impl Iterator<Item = (PathBuf, bool)> {
        let files = self.values("EnvironmentFiles").filter_map(|value| value.split_once(" ("));
        files.map(|(path, how)| (path.into(), how.contains("=no")))
    }
}
