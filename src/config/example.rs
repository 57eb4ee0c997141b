//! `config/tsh-erp.toml` is the manual: what it says is held against the code here.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::document::quoted;

const TOOLS: [&str; 3] = ["[database.alembic]", "[database.django]", "[database.commands]"];

fn read(text: &str) -> Result<Settings, ConfigError> {
    parse(&"tsh-erp".parse().unwrap(), Path::new("tsh-erp.toml"), text)
}

/// A line of the example, switched on.
#[derive(Clone, Copy)]
struct Line {
    text: &'static str,
    /// The head of its table.
    table: &'static str,
    /// Whether it is switched off in the example: there the `#` touches a key or the head of a table.
    off: bool,
}

impl Line {
    fn key(&self) -> Option<&'static str> {
        let (key, _) = self.text.split_once(" = ")?;
        key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some(key)
    }
}

/// Everything switched on, with one of the tools that exclude each other.
fn complete(tool: &str) -> Vec<Line> {
    let mut table = "";
    let lines = EXAMPLE.lines().map(|line| {
        let on = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        let text = on.unwrap_or(line);
        if text.starts_with('[') {
            table = text;
        }
        Line { text, table, off: on.is_some() }
    });
    lines.filter(|line| line.table == tool || !TOOLS.contains(&line.table)).collect()
}

fn joined(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.as_ref())).collect()
}

/// The text with another line in the place of this one.
fn replaced(lines: &[Line], place: usize, with: &str) -> String {
    joined(lines.iter().enumerate().map(|(index, line)| if index == place { with } else { line.text }))
}

#[test]
fn the_example_configures_the_sample_application() {
    let settings = read(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        settings.all_units().map(|unit| unit.as_str()).collect::<Vec<_>>(),
        ["tsh-erp.service", "tsh-erp-worker.service"]
    );
    assert_eq!(
        settings.source,
        Source {
            url: "ssh://git@127.0.0.1/srv/git/erp.git".to_owned(),
            branch: "main".to_owned(),
            key: Some("/etc/tsh-agent/credentials/tsh-erp.key".into()),
            known_hosts: "/etc/tsh-agent/known_hosts".into(),
            timeout: Duration::from_mins(2),
        }
    );
    assert_eq!(settings.build.lock, Lock::Requirements("requirements.txt".into()));
    let database = settings.database.unwrap();
    assert_eq!((database.lane, database.backup, database.quarantine_days), (MigrationLane::Auto, true, 30));
    let ProbePlan { probes, deadline, interval, successes, bake, users } = settings.probe;
    assert_eq!(users.as_deref(), Some("http://127.0.0.1/health"));
    assert_eq!((deadline, interval), (Duration::from_mins(1), Duration::from_millis(100)));
    assert_eq!((successes, bake), (3, Duration::from_secs(10)));
    assert_eq!(
        probes,
        [Probe::Http(Box::new(Http {
            url: "http://127.0.0.1:8000/health".to_owned(),
            host: None,
            status: 200,
            body: None,
            json: [("/status".to_owned(), "ok".into())].into(),
            headers: [].into(),
            revision: Some("/revision".to_owned()),
            schema: Some("/schema".to_owned()),
            timeout: Duration::from_secs(2),
        }))]
    );
}

#[test]
fn documented_defaults_are_those_of_the_code() {
    for tool in TOOLS {
        let lines = complete(tool);
        let all = read(&joined(lines.iter().map(|line| line.text))).unwrap_or_else(|error| panic!("{tool}: {error}"));
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.off && line.key().is_some()) {
            let rest = read(&replaced(&lines, index, ""));
            if line.text.ends_with("  # example") {
                assert_ne!(rest.as_ref().ok(), Some(&all), "{}: {} changes nothing", line.table, line.text);
            } else {
                assert_eq!(rest.as_ref(), Ok(&all), "{}: {} is not the default", line.table, line.text);
            }
        }
    }
}

/// Asks the code itself: an unknown key makes it list the known ones.
#[test]
fn every_key_is_in_the_example() {
    let everything: Vec<Line> = TOOLS.into_iter().flat_map(complete).collect();
    let name = |head: &'static str| head.trim_matches(['[', ']']);
    for tool in TOOLS {
        let lines = complete(tool);
        let heads = lines.iter().enumerate().filter(|(index, line)| *index == 0 || line.text.starts_with('['));
        for (index, head) in heads {
            let error = read(&replaced(&lines, index, &format!("{}\nqqqqqqqqqqqqqqqq = 1", head.text))).unwrap_err();
            let (_, known) = error.problem.split_once("known here: ").unwrap_or_else(|| panic!("{error}"));
            for known in known.split(", ") {
                let below = format!("{}.{known}", name(head.table));
                let shown = |line: &Line| {
                    (line.table == head.table && line.key() == Some(known))
                        || name(line.table) == below.trim_start_matches('.')
                };
                assert!(everything.iter().any(shown), "{below} is not in the example");
            }
        }
    }
}

/// No key is a date, so each that is really read must refuse one.
#[test]
fn every_known_key_is_read() {
    for tool in TOOLS {
        let lines = complete(tool);
        for (index, line) in lines.iter().enumerate() {
            let (Some(key), false) = (line.key(), line.text.ends_with('[')) else { continue };
            let error = read(&replaced(&lines, index, &format!("{key} = 1979-05-27"))).unwrap_err();
            assert!(error.key.ends_with(key) && error.problem.ends_with("given a date"), "{error}");
            assert_eq!(error.line, Some(index + 1), "{error}");
        }
    }
}

/// Whatever an editor or a full disk leaves behind gets an answer.
#[test]
fn no_damage_makes_it_panic() {
    let file = joined(complete(TOOLS[0]).iter().map(|line| line.text));
    for end in (0..file.len()).step_by(3).filter(|end| file.is_char_boundary(*end)) {
        answered(&file[..end]);
    }
    let pieces =
        ["", "\"", "[", "]", "{", "}", "=", "\n", "\0", "-1", "''", "..", "ü", "9999999999999999999", "#", "\\"];
    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    for _ in 0..2000 {
        let mut bytes = file.clone().into_bytes();
        for _ in 0..=next(3) {
            let start = next(bytes.len());
            let end = bytes.len().min(start + next(12));
            bytes.splice(start..end, pieces[next(pieces.len())].bytes());
        }
        answered(&String::from_utf8_lossy(&bytes));
    }
    answered(&format!("x = {}", "[".repeat(60_000)));
    answered(&format!("x = {}", "{a=".repeat(20_000)));
    answered(&format!("{} = 1", vec!["a"; 30_000].join(".")));
}

fn answered(text: &str) {
    if let Err(error) = read(text) {
        assert!(error.line.is_none_or(|line| line <= text.lines().count() + 1), "{}: {error}", quoted(text));
        assert!(!error.problem.is_empty() && !error.to_string().contains('\n'), "{error}");
    }
}
