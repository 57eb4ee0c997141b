//! Settings on the screen: what is in force as a file could say it, and what one of them means.

use toml::Value;

use super::text::{pad, width, wrap};
use super::{Look, Tone, field, fields};
use crate::config::manual::{Chapter, Entry, Subject};
use crate::config::{InForce, Setting};

/// Values end here, as far as they fit, and comments begin.
const COLUMN: usize = 56;

/// All of it: TOML that says the same as the file, with the defaults written out.
#[must_use]
pub fn show(shown: &InForce, look: &Look) -> String {
    let mut out = format!("# {}, with the defaults filled in.\n", shown.file.display());
    for table in &shown.tables {
        out += &format!("\n{}\n", table.head);
        for setting in &table.settings {
            let from = setting.line.map_or_else(|| "# default".to_owned(), |line| format!("# line {line}"));
            let mut lines = lines(setting, look.width).into_iter();
            let first = lines.next().unwrap_or_default();
            // The text of a value stays whole: somebody wants to copy it.
            if width(&first) + 2 + width(&from) > look.width {
                out += &format!("{}\n{first}\n", look.paint(Tone::Faint, &from));
            } else {
                out += &format!("{}  {}\n", pad(&first, COLUMN), look.paint(Tone::Faint, &from));
            }
            out.extend(lines.map(|line| line + "\n"));
        }
    }
    out
}

/// `name = value`; a list that is too long goes over several lines.
fn lines(setting: &Setting, room: usize) -> Vec<String> {
    let line = format!("{} = {}", setting.name, setting.value);
    match &setting.value {
        Value::Array(items) if width(&line) > room => {
            let items = items.iter().map(|item| format!("    {item},"));
            [format!("{} = [", setting.name)].into_iter().chain(items).chain(["]".to_owned()]).collect()
        }
        _ => vec![line],
    }
}

/// One of them; what is in force is told where that is known, or why it is not.
#[must_use]
pub fn explain(subject: &Subject, shown: Option<&Result<InForce, String>>, look: &Look) -> String {
    match subject {
        Subject::Key(entry) => key(entry, shown, look),
        Subject::Table(chapter) => table(chapter, shown, look),
    }
}

fn key(entry: &Entry, shown: Option<&Result<InForce, String>>, look: &Look) -> String {
    let mut out = format!("{}\n", entry.path) + &says(&entry.says, look);
    let default = match (&entry.default, entry.required) {
        (_, true) => "none: it must be there where its table is".to_owned(),
        (Some(value), _) => value.to_string(),
        (None, _) => "none, or as told above".to_owned(),
    };
    out += &field("default", &default, look);
    out += &field("range", &entry.range().unwrap_or_default(), look);
    if entry.default.as_ref() != Some(&entry.example) {
        out += &field("example", &entry.example.to_string(), look);
    }
    out + &now(&[entry], shown, "not set", look)
}

fn table(chapter: &Chapter, shown: Option<&Result<InForce, String>>, look: &Look) -> String {
    let names: Vec<&str> = chapter.entries.iter().map(|entry| entry.name).collect();
    let mut out = format!("{}\n", chapter.head) + &says(&chapter.says, look);
    out += &field("keys", &names.join(", "), look);
    let entries: Vec<&Entry> = chapter.entries.iter().collect();
    out += &now(&entries, shown, "the table is not there", look);
    out
}

fn says(paragraphs: &[String], look: &Look) -> String {
    let lines = paragraphs.iter().flat_map(|text| wrap(text, look.width.saturating_sub(2)));
    lines.map(|line| format!("  {line}\n")).collect()
}

fn now(entries: &[&Entry], shown: Option<&Result<InForce, String>>, without: &str, look: &Look) -> String {
    let shown = match shown {
        None => return String::new(),
        Some(Err(why)) => return field("now", &format!("not known: {why}"), look),
        Some(Ok(shown)) => shown,
    };
    let told = |setting: &Setting| {
        let from = setting.line.map_or_else(|| "default".to_owned(), |line| format!("{}:{line}", shown.file.display()));
        // One key of a list of tables is there once for each.
        let several = entries.len() > 1 || setting.key.contains('[');
        let name = if several { format!("{} = ", setting.key) } else { String::new() };
        format!("{name}{} ({from})", setting.value)
    };
    let all: Vec<String> = entries.iter().flat_map(|entry| shown.of(&entry.path)).map(told).collect();
    match all.is_empty() {
        true => field("now", without, look),
        false => fields("now", &all, look),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use insta::assert_snapshot;

    use super::super::fixtures::look;
    use super::*;
    use crate::config::{EXAMPLE, in_force_of, manual};

    fn shown() -> InForce {
        in_force_of(&"tsh-erp".parse().unwrap(), Path::new("/etc/tsh-agent/apps/tsh-erp.toml"), EXAMPLE).unwrap()
    }

    #[test]
    fn the_settings_in_force() {
        let text = show(&shown(), &look());
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        // It is a file that says the same.
        let app = "tsh-erp".parse().unwrap();
        let read = |text: &str| crate::config::parse(&app, Path::new("x.toml"), text).unwrap();
        assert_eq!(read(&text), read(EXAMPLE));
        assert_snapshot!(text.lines().take(44).collect::<Vec<_>>().join("\n"), @r#"
    # /etc/tsh-agent/apps/tsh-erp.toml, with the defaults filled in.

    [source]
    url = "ssh://git@127.0.0.1/srv/git/erp.git"               # line 16
    branch = "main"                                           # line 18
    key = "/etc/tsh-agent/credentials/tsh-erp.key"            # line 20
    known_hosts = "/etc/tsh-agent/known_hosts"                # default
    timeout = "2min"                                          # default

    [push]
    webhook = "none"                                          # default
    repository = "srv/git/erp"                                # default
    poll = "never"                                            # default
    users = []                                                # default

    [build]
    workdir = ""                                              # default
    venv = ".venv"                                            # default
    python = "python3"                                        # default
    lock = { requirements = "requirements.txt" }              # line 51
    extra = []                                                # default
    project = "no"                                            # default
    wheels_only = false                                       # default
    environment = {}                                          # default
    commands = []                                             # default
    shared = {}                                               # default
    timeout = "10min"                                         # default

    [service]
    user = "deploy"                                           # line 70
    strategy = "restart"                                      # default
    drain = "20s"                                             # default
    units = [                                                 # line 84
        { name = "tsh-erp.service", role = "web" },
        { name = "tsh-erp-worker.service", role = "worker" },
    ]
    state = ["uploads", "logs"]                               # line 89
    stop_timeout = "30s"                                      # default

    [database]
    name = "tsh_erp"                                          # line 99
    owner = "tsh_erp"                                         # line 101
    lane = "auto"                                             # default
    backup = true                                             # default
    "#);
    }

    #[test]
    fn a_setting_that_is_explained() {
        let explained = |name: &str| explain(&manual::find(name).unwrap(), Some(&Ok(shown())), &look());
        assert_snapshot!(["max_window", "source.url", "gates.ci", "probe.http.timeout"].map(explained).join("\n"), @r#"
    database.max_window
      How long production may stand still, by what the rehearsal predicts, for a
      deployment that nobody typed: one of a push, for example; 1s to 24h. A person
      is told the time and goes on. "none": no limit.
      default:    "1min"
      range:      1s to 24h
      now:        "1min" (default)

    source.url
      Required. The repository: ssh://user@host/path, user@host:path,
      https://host/path or file:///path. It cannot hold a password, because
      everybody could read it here.
      default:    none: it must be there where its table is
      example:    "ssh://git@127.0.0.1/srv/git/erp.git"
      now:        "ssh://git@127.0.0.1/srv/git/erp.git"
                  (/etc/tsh-agent/apps/tsh-erp.toml:16)

    [gates.ci]
      Only what the forge has checked. The newest run of each check decides. Success
      passes; failure, cancelled, skipped and neutral refuse; pending and absent are
      waited for, as is a forge that does not answer.
      keys:       checks, accept, wait, every
      now:        the table is not there

    probe.http.timeout
      Time for one request, 10ms to the deadline.
      default:    "2s"
      range:      10ms to the deadline
      now:        probe.http[0].timeout = "2s" (default)
    "#);
    }

    #[test]
    fn it_is_explained_where_the_settings_are_wrong() {
        let wrong = Err("/etc/tsh-agent/apps/tsh-erp.toml:3: source.branch: expected the name".to_owned());
        let text = explain(&manual::find("database.lane").unwrap(), Some(&wrong), &look());
        assert!(text.contains("now:        not known: /etc/tsh-agent/apps/tsh-erp.toml:3:"), "{text}");
    }
}
