//! The rules that keep the parts apart, read from the source: ARCHITECTURE.md says why each is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files are read by nobody.
const LONGEST: usize = 400;

/// A source file below `src`.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let name = Path::new(&self.path).file_stem().unwrap().to_string_lossy();
        let ours = ["tests", "testing", "fixtures", "sim", "refusals", "example"];
        ours.contains(&name.as_ref())
            || name.ends_with("_tests")
            || name.starts_with("sim_")
            || self.path.contains("/tests/")
            || self.path.contains("/sim/")
    }

    /// The lines that run in production: without comments, and without the tests at the end.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let tests = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..tests].lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || self.path.starts_with(&format!("{place}/")))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text });
            }
        }
    }
    assert!(found.len() > 100, "only {} files were found", found.len());
    found
}

/// Lines of production that contain one of `words`, outside of `places`, as `file: line`.
fn elsewhere(words: &[&str], places: &[&str]) -> Vec<String> {
    let sources = sources();
    let outside = sources.iter().filter(|source| !source.is_test() && !source.is_in(places));
    let lines = outside.flat_map(|source| source.lines().map(move |line| (source, line)));
    let hits = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    hits.map(|(source, line)| format!("{}: {}", source.path, line.trim())).collect()
}

/// Lines in `place` that name a part of the crate which is not among `allowed`.
fn imports(place: &str, allowed: &[&str]) -> Vec<String> {
    let names = |line: &str| -> Vec<String> {
        let after = line.split("crate::").skip(1);
        after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
    };
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(&[place]) && !source.is_test()) {
        for line in source.lines() {
            let foreign = names(line).into_iter().find(|name| name != place && !allowed.contains(&name.as_str()));
            found.extend(foreign.map(|_| format!("{}: {}", source.path, line.trim())));
        }
    }
    found
}

const NOTHING: [String; 0] = [];

#[test]
fn no_file_is_too_long() {
    let length = |source: &Source| source.text.lines().count();
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| length(source) > LONGEST)
        .map(|source| format!("{}: {} lines", source.path, length(source)))
        .collect();
    assert_eq!(long, NOTHING);
}

#[test]
fn the_model_stands_on_nothing_and_the_engine_on_no_machine() {
    assert_eq!(imports("model", &[]), NOTHING);
    // The engine sees a World; of the database only the names of what lies beside it.
    assert_eq!(imports("deploy", &["model", "config", "paths", "database"]), NOTHING);
    let database = elsewhere(&["crate::database"], &["database", "cli", "daemon", "host", "init", "steps"]);
    assert_eq!(database, ["deploy/acts/database.rs: use crate::database::Aside;"]);
    assert_eq!(imports("config", &["model", "paths"]), NOTHING);
    assert_eq!(imports("store", &["model"]), NOTHING);
    assert_eq!(imports("database", &["model"]), NOTHING);
    assert_eq!(
        imports("steps", &["model", "config", "paths", "database", "logging", "when"]),
        NOTHING,
        "a step needs no core"
    );
    assert_eq!(imports("webhook", &["api", "events", "model"]), NOTHING, "strangers reach it: it has nothing");
}

#[test]
fn the_model_asks_nobody() {
    let sources = sources();
    let lines = sources
        .iter()
        .filter(|source| source.is_in(&["model"]))
        .flat_map(|source| source.lines().map(move |line| format!("{}: {}", source.path, line.trim())));
    let io =
        ["std::fs", "std::env", "std::time", "std::process::Command", "tokio", "async ", ".await", "Timestamp::now"];
    let asking: Vec<String> = lines.filter(|line| io.iter().any(|word| line.contains(word))).collect();
    assert_eq!(asking, NOTHING);
}

#[test]
fn each_kind_of_sql_has_one_home() {
    assert_eq!(elsewhere(&["sqlx"], &["store", "database"]), NOTHING);
    assert_eq!(elsewhere(&["Sqlite", "sqlite::"], &["store"]), NOTHING, "the state is the store's");
    assert_eq!(elsewhere(&["PgConn", "sqlx::postgres"], &["database"]), NOTHING, "PostgreSQL is the database's");
    // `init` says in the words of psql what it found of roles; it makes them with the database's text. The backup reads
    // what pg_dumpall has written.
    let words = ["select ", "alter role", "alter database", "create database", "grant "];
    let homes = ["store", "database", "init/database.rs", "daemon/check.rs", "steps/backup.rs"];
    let told = elsewhere(&words, &homes).into_iter().filter(|line| line.contains('"')).collect::<Vec<_>>();
    assert_eq!(told, NOTHING);
}

#[test]
fn a_database_is_dropped_in_one_place() {
    let everywhere: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test())
        .flat_map(|source| source.lines().map(|line| (source.path.clone(), line.to_lowercase())).collect::<Vec<_>>())
        .filter(|(_, line)| line.contains("drop database"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(everywhere, ["database/aside.rs"]);
}

#[test]
fn few_parts_touch_the_machine() {
    let touching = ["std::fs", "fs::read", "fs::write", "File::open", "Command::new", "tokio::process", "nix::sys"];
    // The configuration and the state are files; the core asks once which boot this is.
    let homes = ["host", "steps", "init", "cli", "config/read.rs", "store/mod.rs", "daemon/mod.rs"];
    assert_eq!(elsewhere(&touching, &homes), NOTHING);
    // The core starts no process: what it wants done, a unit does.
    let starting = ["std::process::Command", "process::{Command", "tokio::process", "CommandExt"];
    assert_eq!(elsewhere(&starting, &["steps", "init/machine.rs", "cli"]), NOTHING);
}

#[test]
fn each_library_has_one_home() {
    assert_eq!(elsewhere(&["git2::", "libgit2_sys"], &["steps/fetch.rs", "steps/fetch"]), NOTHING);
    let encryption = elsewhere(&["age::x25519", "age::Encryptor", "age::Decryptor"], &["steps/sealed.rs"]);
    assert_eq!(encryption.len(), 1, "the settings name recipients: {encryption:?}");
    assert_eq!(elsewhere(&["zbus::"], &["api", "host", "daemon"]), NOTHING);
    // Others only take addresses apart with it.
    let requests = ["reqwest::Client", "Client::builder", "reqwest::{", "reqwest::get"];
    let homes = ["steps/probe", "steps/probe.rs", "steps/gates", "steps/notify", "steps/notify.rs", "steps/offsite"];
    assert_eq!(elsewhere(&requests, &homes), NOTHING);
    assert_eq!(elsewhere(&["rusty_s3"], &["steps/offsite"]), NOTHING);
    assert_eq!(elsewhere(&["hyper::", "hyper_util::", "http_body_util::"], &["webhook", "scrape.rs"]), NOTHING);
    assert_eq!(elsewhere(&["clap::"], &["cli", "main.rs"]), NOTHING);
}

#[test]
fn nothing_stands_on_the_command_line_and_only_it_on_the_core() {
    assert_eq!(elsewhere(&["crate::cli", "tsh_agent::cli"], &["cli", "main.rs"]), NOTHING);
    assert_eq!(elsewhere(&["crate::daemon"], &["daemon", "cli/core.rs", "cli/recover.rs"]), NOTHING);
}

#[test]
fn a_rule_that_is_broken_is_seen() {
    assert!(!elsewhere(&["sqlx"], &["store"]).is_empty());
    assert!(!imports("steps", &["model"]).is_empty());
    assert!(!elsewhere(&["Command::new"], &["host"]).is_empty());
}
