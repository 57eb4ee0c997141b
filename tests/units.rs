//! The units as they are shipped, with the files that `tsh-agent init` writes for an application.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tsh_agent::config::{self, Settings};
use tsh_agent::events::Event;
use tsh_agent::init::{Facts, generated};
use tsh_agent::model::step::Step;

const SETTINGS: &str = r#"
[source]
url = "ssh://git@forge.example/erp.git"
branch = "main"
key = "/etc/tsh-agent/credentials/erp.key"
[push]
webhook = "gitea"
repository = "acme/erp"
poll = "10min"
users = ["git"]
[build]
[service]
user = "deploy"
units = [
    { name = "erp.service", role = "web" },
    { name = "erp@1.service", role = "worker" },
    { name = "erp.timer", role = "timer" },
]
state = ["uploads", "logs"]
[database]
name = "erp"
owner = "erp"
[database.alembic]
[[probe.http]]
url = "http://127.0.0.1:8000/health"
[[notices.slack]]
name = "chat"
secret = "/etc/tsh-agent/credentials/chat"
"#;

fn settings() -> Settings {
    config::parse(&"erp".parse().unwrap(), Path::new("erp.toml"), SETTINGS).unwrap()
}

fn facts() -> Facts {
    Facts { group: "deploy".to_owned(), unit_group: None, nginx: false }
}

/// A file of systemd's: where it is once it is installed, and its text.
struct Installed {
    path: PathBuf,
    text: String,
}

impl Installed {
    /// Its settings as (key, value), and those of a drop-in as well.
    fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
    }
}

fn shipped(folder: &str, to: &str) -> Vec<Installed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("units").join(folder);
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Installed { path: Path::new(to).join(path.strip_prefix(&root).unwrap()), text });
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn written(below: &str) -> Vec<Installed> {
    let files = generated(&settings(), &facts()).into_iter();
    files
        .filter(|file| file.path.starts_with(below))
        .map(|file| Installed { path: file.path, text: file.text })
        .collect()
}

/// Every unit and drop-in, as PID 1 reads them for the application.
fn units() -> Vec<Installed> {
    let mut all = shipped("systemd/system", "/usr/lib/systemd/system");
    all.extend(written("/etc/systemd/system"));
    all
}

fn kinds() -> BTreeSet<&'static str> {
    // What is no step of a deployment.
    let alone = ["ask", "plan", "prove", "folders", "offsite", "gauge", "notify"];
    Step::ALL.into_iter().filter_map(Step::unit_kind).chain(alone).collect()
}

/// Folder → whether it is root's alone, from the tables of systemd-tmpfiles.
fn folders() -> BTreeMap<String, bool> {
    let mut tables = shipped("tmpfiles.d", "/usr/lib/tmpfiles.d");
    tables.extend(written("/etc/tmpfiles.d"));
    let mut folders: BTreeMap<String, bool> = BTreeMap::new();
    for line in tables.iter().flat_map(|table| table.text.lines()) {
        if let ["d", path, mode, owner, ..] = line.split_whitespace().collect::<Vec<_>>()[..] {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            folders.insert(path.to_owned(), owner == "root" && mode & 0o022 == 0);
        }
    }
    for base in "/ /etc /usr /usr/bin /usr/lib /var /var/lib /var/log /var/backups /srv /run /run/systemd".split(' ') {
        folders.insert(base.to_owned(), true);
    }
    folders
}

/// Paths that PID 1, or what it forks while that is still root, opens or mounts on.
fn paths((key, value): (&str, &str)) -> Vec<String> {
    let words: Vec<&str> = match key {
        // Only told to the program, which opens it with its own rights.
        "Environment" | "Description" => return Vec::new(),
        "ExecStart" => value.split(' ').take(1).collect(),
        _ => value.split([' ', ':']).collect(),
    };
    let words = words.into_iter().map(|word| word.trim_start_matches(['-', '+', '!', '@', '|']));
    words.filter(|word| word.starts_with('/')).map(|word| word.replace("%i", "erp")).collect()
}

/// The first folder on the way to `path` that somebody else than root could change, or that nobody answers for.
fn weak_folder(path: &str, folders: &BTreeMap<String, bool>) -> Option<String> {
    let above = Path::new(path).ancestors().skip(1).map(|part| part.to_str().unwrap().to_owned());
    above.into_iter().find(|part| folders.get(part) != Some(&true))
}

#[test]
fn pid_1_opens_nothing_that_others_could_replace() {
    let folders = folders();
    let mut seen = 0;
    for unit in units() {
        for setting in unit.settings() {
            for path in paths(setting) {
                let weak = weak_folder(&path, &folders);
                assert_eq!(weak, None, "{}: {}={}", unit.path.display(), setting.0, setting.1);
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} paths were found: the test does not see them");
}

#[test]
fn a_path_in_a_folder_of_others_is_seen() {
    let folders = folders();
    for (key, value) in [
        ("LoadCredential", "request:/run/tsh-agent/%i/fetch.json"),
        ("StandardOutput", "append:/srv/%i/shared/logs/x.log"),
        ("StandardError", "truncate:/var/lib/tsh-agent/x"),
        ("EnvironmentFile", "-/srv/%i/releases/1/.env"),
        ("BindPaths", "/var/lib/tsh-agent-build/%i:/srv/%i/links/current"),
        ("ExecStart", "/srv/%i/current/bin/x --flag"),
        ("LoadCredential", "key:/home/deploy/.ssh/id"),
    ] {
        assert!(paths((key, value)).iter().any(|path| weak_folder(path, &folders).is_some()), "{key}={value}");
    }
}

/// All units and drop-ins in one folder, with a program that exists on every machine.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for unit in units() {
        let below = unit.path.strip_prefix("/usr/lib/systemd/system").or(unit.path.strip_prefix("/etc/systemd/system"));
        let path = tree.path().join(below.unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, unit.text.replace("/usr/bin/tsh-agent", "/usr/bin/env")).unwrap();
    }
    tree
}

/// `None` on a machine without a systemd-analyze that can do it (250 or later).
fn analyze(tree: &Path, arguments: &[&str]) -> Option<Output> {
    let version = Command::new("systemd-analyze").arg("--version").output().ok()?;
    let version = String::from_utf8(version.stdout).ok()?;
    version.split_whitespace().nth(1)?.parse::<u32>().ok().filter(|version| *version >= 250)?;
    let path = format!("{}:/usr/lib/systemd/system:/lib/systemd/system", tree.display());
    Some(Command::new("systemd-analyze").args(arguments).env("SYSTEMD_UNIT_PATH", path).output().unwrap())
}

fn instances() -> impl Iterator<Item = String> {
    let steps = kinds().into_iter().map(|kind| format!("tsh-agent-{kind}@erp.service"));
    let ours = [
        "tsh-agent.service",
        "tsh-agent-recover.service",
        "tsh-agent-webhook.service",
        "tsh-backup@erp.service",
        "tsh-poll@erp.service",
        "tsh-mail@1.service",
    ];
    ours.map(str::to_owned).into_iter().chain(steps)
}

/// `systemd-analyze security`: 0.0 is nothing exposed, 10.0 everything. Shown by `cargo test exposure -- --nocapture`.
#[test]
#[expect(clippy::print_stdout, reason = "the table is for people")]
fn exposure_stays_low() {
    let tree = tree();
    for unit in instances() {
        // In tenths. What has the network cannot be lower than about 1.
        let most = match unit.as_str() {
            "tsh-agent.service" => 5,
            "tsh-agent-fetch@erp.service"
            | "tsh-agent-offsite@erp.service"
            | "tsh-agent-ask@erp.service"
            | "tsh-agent-plan@erp.service"
            | "tsh-agent-gates@erp.service"
            | "tsh-agent-build@erp.service"
            | "tsh-agent-gauge@erp.service"
            | "tsh-agent-probe@erp.service"
            | "tsh-agent-notify@erp.service" => 18,
            // One capability, and the user namespace that it rules out.
            "tsh-agent-folders@erp.service" => 12,
            // Somebody else's program, which brings rights of its own.
            "tsh-mail@1.service" => 90,
            _ => 8,
        };
        let threshold = format!("--threshold={most}");
        let arguments = ["security", "--offline=yes", "--no-pager", &threshold, &unit];
        let Some(output) = analyze(tree.path(), &arguments) else { return };
        let table = String::from_utf8_lossy(&output.stdout);
        let overall = table.lines().last().unwrap_or_default();
        println!("{overall} (at most {}.{})", most / 10, most % 10);
        assert!(overall.contains(&unit), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{table}");
    }
}

#[test]
fn systemd_understands_every_line() {
    let tree = tree();
    let files: Vec<String> = instances()
        .chain(
            ["tsh-agent-backup@erp.timer", "tsh-agent-poll@erp.timer", "tsh-agent-webhook.socket", "tsh-mail.socket"]
                .map(str::to_owned),
        )
        .map(|unit| tree.path().join(unit).to_str().unwrap().to_owned())
        .collect();
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(files.iter().map(String::as_str));
    let Some(output) = analyze(tree.path(), &arguments) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn every_kind_of_step_has_a_unit_a_log_and_a_rule() {
    let units = shipped("systemd/system", "");
    let kind = |unit: &'_ Installed| {
        Some(unit.path.to_str()?.strip_prefix("tsh-agent-")?.strip_suffix("@.service")?.to_owned())
    };
    assert_eq!(
        units.iter().filter_map(kind).collect::<BTreeSet<_>>(),
        kinds().into_iter().map(str::to_owned).collect()
    );
    for kind in kinds() {
        let unit = units.iter().find(|unit| unit.path.ends_with(format!("tsh-agent-{kind}@.service"))).unwrap();
        for line in [
            format!("ExecStart=/usr/bin/tsh-agent step {kind} %i"),
            format!("StandardOutput=truncate:/var/log/tsh-agent/%i-{kind}.log"),
        ] {
            assert!(unit.text.lines().any(|found| found == line), "{kind}: {line}");
        }
        // PID 1 makes the log with this mask, and the core, whose group it has, must read the answer in it.
        let mask = unit.text.lines().find_map(|line| line.strip_prefix("UMask=")).unwrap();
        assert_eq!(u32::from_str_radix(mask, 8).unwrap() & 0o040, 0, "{kind}: the core cannot read its log");
    }
    let rule = &shipped("polkit-1/rules.d", "")[0].text;
    let allowed = rule.split_once("/^tsh-agent-(").unwrap().1.split_once(')').unwrap().0;
    assert_eq!(allowed.split('|').collect::<BTreeSet<_>>(), kinds());
}

#[test]
fn every_user_is_made_at_installation() {
    let made = &shipped("sysusers.d", "")[0].text;
    let made: BTreeSet<&str> = made.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    for unit in shipped("systemd/system", "") {
        for (key, value) in unit.settings().filter(|(key, _)| ["User", "Group"].contains(key)) {
            assert!(made.contains(value), "{}: {key}={value}", unit.path.display());
        }
    }
}

#[test]
fn the_application_waits_for_recovery_only_with_services() {
    let drop_in = written("/etc/systemd/system/tsh-agent-recover.service.d");
    let before: Vec<_> = drop_in[0].settings().filter(|(key, _)| *key == "Before").map(|(_, unit)| unit).collect();
    assert_eq!(before, ["erp.service", "erp@1.service"]);
}

#[test]
fn the_catalog_explains_exactly_the_events() {
    let catalog = &shipped("catalog", "")[0].text;
    let explained: Vec<&str> = catalog.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
    let events: Vec<&str> = Event::ALL.into_iter().map(Event::id).collect();
    assert_eq!(explained, events, "in the same order");
    assert_eq!(events.iter().collect::<BTreeSet<_>>().len(), events.len(), "an id is used twice");
    assert!(events.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b"0123456789abcdef".contains(&b))));
    for entry in catalog.split("\n-- ").skip(1) {
        let (head, body) = entry.split_once("\n\n").expect("an entry has a head and a body");
        assert!(head.contains("\nSubject: ") && head.contains("\nDefined-By: tsh-agent"), "{entry}");
        for field in body.split('@').skip(1).step_by(2) {
            assert!(["TSH_APP", "TSH_DEPLOYMENT", "TSH_STEP", "TSH_RELEASE"].contains(&field), "{field}: {entry}");
        }
    }
}
