//! What `tsh-agent init` makes of one application's settings. Pure, except for `machine`, which puts it in place.

pub mod adopt;
pub mod bus;
pub mod compose;
pub mod credentials;
pub mod database;
pub mod door;
pub mod folders;
pub mod hook;
pub mod inspect;
pub mod listening;
pub mod machine;
pub mod polkit;
pub mod shown;
pub mod slots;
pub mod units;

use std::path::PathBuf;

use crate::config::{MigrationLane, Settings};
use crate::model::names::App;

/// A file of root's that `init` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Where.
    pub path: PathBuf,
    /// Everything in it.
    pub text: String,
    /// Who else may read it; only root writes.
    pub mode: u32,
}

impl Generated {
    /// A file that everybody may read.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), text, mode: 0o644 }
    }
}

/// What the settings do not say, and the machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The primary group of the application's user.
    pub group: String,
    /// The group that its first unit runs as, if the unit names one.
    pub unit_group: Option<String>,
    /// Whether it has nginx.
    pub nginx: bool,
}

/// Every file that follows from the settings alone, and is written anew whenever they change.
#[must_use]
pub fn generated(settings: &Settings, facts: &Facts) -> Vec<Generated> {
    let mut all = vec![folders::table(settings, facts)];
    all.extend(units::drop_ins(settings, facts));
    all.extend(slots::units(settings, facts));
    all.push(polkit::rule(settings));
    all.extend(bus::policy(settings));
    all.extend(hook::drop_in(settings));
    if needs_door(settings) || facts.nginx {
        all.push(door::snippet(&settings.app));
    }
    all
}

/// Whether a deployment may close the door of this application. A person may close it wherever nginx has it.
#[must_use]
pub fn needs_door(settings: &Settings) -> bool {
    settings.database.as_ref().is_some_and(|database| database.lane != MigrationLane::Stop)
}

/// The first line of every generated file.
fn heading(mark: &str, app: &App) -> String {
    let instead = format!("change /etc/tsh-agent/apps/{app}.toml instead");
    format!("{mark} Written by `tsh-agent init {app}`, which overwrites it: {instead}.\n")
}

/// `%` starts a specifier in the files of systemd.
fn plain(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    const SETTINGS: &str = r#"
[source]
url = "ssh://git@forge.example/erp.git"
branch = "main"
key = "/etc/tsh-agent/credentials/100%.key"
timeout = "2min"
[push]
webhook = "github"
repository = "acme/erp"
poll = "5min"
users = ["git"]
[build]
timeout = "15min"
[service]
user = "deploy"
units = [
    { name = "erp.service", role = "web" },
    { name = "erp@1.service", role = "worker" },
    { name = "erp.timer", role = "timer" },
]
state = ["uploads", "old logs"]
[database]
name = "erp_main"
owner = "erp"
timeout = "20min"
[database.alembic]
[probe]
deadline = "1min"
bake = "3min"
[[probe.http]]
url = "http://127.0.0.1:8000/health"
[[notices.slack]]
name = "chat"
secret = "/etc/tsh-agent/credentials/chat"
[[notices.mail]]
name = "mail"
to = ["ops@example.com"]
"#;

    fn all(settings: &str, unit_group: Option<&str>) -> String {
        let settings = crate::config::parse(&"erp".parse().unwrap(), Path::new("erp.toml"), settings).unwrap();
        let facts = Facts { group: "deploy".to_owned(), unit_group: unit_group.map(str::to_owned), nginx: false };
        let mut files = generated(&settings, &facts);
        if let Some(database) = &settings.database {
            files.push(database::migration_environment(&settings.app, &database.name, Some("postgresql+psycopg")));
        }
        files.iter().fold(String::new(), |mut all, file| {
            let _ = write!(all, "=== {} {:04o}\n{}\n", file.path.display(), file.mode, file.text);
            all
        })
    }

    #[test]
    fn every_file_for_an_application_with_everything() {
        insta::assert_snapshot!(all(SETTINGS, Some("www-data")));
    }

    #[test]
    fn an_application_without_key_and_database_gets_neither() {
        let (head, rest) = SETTINGS.split_once("key = ").unwrap();
        let (_, rest) = rest.split_once('\n').unwrap();
        let (middle, rest) = rest.split_once("[database]").unwrap();
        let (_, probe) = rest.split_once("[probe]").unwrap();
        let (probe, _) = probe.split_once("[[notices").unwrap();
        let settings = format!("{head}{middle}[probe]{probe}").replace("ssh://git@", "https://");
        let all = all(&settings, None);
        assert!(!all.contains("deploy-key") && !all.contains("migrate") && !all.contains("nginx"), "{all}");
        assert!(all.contains("\nGroup=deploy\n"));
    }

    #[test]
    fn where_there_is_nginx_every_application_has_a_door() {
        let settings = SETTINGS.replace("owner = \"erp\"", "owner = \"erp\"\nlane = \"stop\"");
        let settings = crate::config::parse(&"erp".parse().unwrap(), Path::new("erp.toml"), &settings).unwrap();
        let has_door = |nginx| {
            let facts = Facts { group: "deploy".to_owned(), unit_group: None, nginx };
            generated(&settings, &facts).iter().any(|file| file.path == door::snippet_path(&settings.app))
        };
        assert!(has_door(true) && !has_door(false));
    }

    #[test]
    fn two_slots_get_their_units_and_the_right_to_start_them() {
        let (head, rest) = SETTINGS.split_once("units = [").unwrap();
        let (_, rest) = rest.split_once("]\n").unwrap();
        let slots = "strategy = \"slots\"\napp = \"erp.main:app\"\nlisten = \"127.0.0.1:8000\"\n\
                     units = [{ name = \"erp-worker.service\", role = \"worker\" }]\n";
        let all = all(&format!("{head}{slots}{rest}"), None);
        let ours: Vec<&str> = all
            .split("=== ")
            .filter(|file| {
                ["erp.socket", "erp@.service", "recover", "49-tsh", "tmpfiles"].iter().any(|f| file.contains(f))
            })
            .collect();
        insta::assert_snapshot!(ours.join("=== "));
    }

    #[test]
    fn nginx_says_which_files_it_reads() {
        let app = "erp".parse().unwrap();
        let dump = "# configuration file /etc/nginx/snippets/tsh-agent-erp.conf:\n";
        assert!(door::is_included(&app, dump));
        assert!(!door::is_included(&app, "# include snippets/tsh-agent-erp.conf;\n"));
        assert!(!door::is_included(&"er".parse().unwrap(), dump));
    }
}
