//! What the texts say that were found. Pure.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::Role;
use crate::init::compose::Health;
use crate::init::shown::Shown;
use crate::model::names::{App, UnitName};

/// Whether a unit is one of the application's: by its name, by the link it starts through, or by the checkout.
pub fn belongs(unit: &Shown, app: &App, checkout: Option<&Path>) -> bool {
    let stem = unit.name.rsplit_once('.').map_or(unit.name.as_str(), |(stem, _)| stem);
    let rest = stem.strip_prefix(app.as_str());
    let named = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '@', '_']));
    let starts = unit.programs().any(|path| checkout.is_some_and(|tree| Path::new(path).starts_with(tree)));
    let works = unit.folder().is_some_and(|folder| {
        folder.starts_with(crate::paths::home(app)) || checkout.is_some_and(|tree| folder.starts_with(tree))
    });
    unit.value("LoadState") == "loaded" && !stem.starts_with("tsh-agent") && (named || starts || works)
}

/// Their roles, in the order in which they are started.
pub fn units(shown: &[Shown]) -> Vec<(UnitName, Role)> {
    let mut units: Vec<(UnitName, Role)> =
        shown.iter().filter_map(|unit| Some((unit.name.parse().ok()?, role(unit)))).collect();
    // A service that a timer starts is not one that runs.
    let timers: BTreeSet<String> =
        units.iter().filter_map(|(name, _)| name.as_str().strip_suffix(".timer").map(str::to_owned)).collect();
    units.retain(|(name, _)| name.as_str().strip_suffix(".service").is_none_or(|stem| !timers.contains(stem)));
    units.sort_by_key(|(name, role)| (rank(*role), name.as_str().len(), name.as_str().to_owned()));
    units
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Web => 0,
        Role::Worker => 1,
        Role::Timer => 2,
    }
}

fn role(unit: &Shown) -> Role {
    const WORKERS: [&str; 7] = ["worker", "celery", "beat", "queue", "consumer", "scheduler", "dramatiq"];
    if unit.name.ends_with(".timer") {
        return Role::Timer;
    }
    let words = format!("{} {}", unit.name, unit.command()).to_lowercase();
    if WORKERS.iter().any(|word| words.contains(word)) { Role::Worker } else { Role::Web }
}

/// The database that an environment names, if it is one of PostgreSQL on this server.
pub fn database(environment: &str) -> Option<String> {
    let value = |key: &str| {
        let lines = environment.lines().rev().map(|line| line.trim().trim_start_matches("export "));
        let value = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).next()?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let Some(url) = value("DATABASE_URL") else {
        let local = value("POSTGRES_HOST").or_else(|| value("DB_HOST")).is_none_or(|host| is_local(&host));
        return ["POSTGRES_DB", "DB_NAME", "PGDATABASE"].into_iter().find_map(value).filter(|_| local);
    };
    let (scheme, rest) = url.split_once("://")?;
    let (place, path) = rest.split_once('/')?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let name = path.split('?').next().unwrap_or_default();
    (scheme.starts_with("postgres") && is_local(host) && !name.is_empty()).then(|| name.to_owned())
}

fn is_local(host: &str) -> bool {
    matches!(host, "" | "localhost" | "127.0.0.1" | "[::1]" | "::1") || host.starts_with('/')
}

/// The port in the command of an application server: `--port 8000`, `-b 127.0.0.1:8000`.
pub fn port(command: &str) -> Option<u16> {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        if ["--port", "-p", "--bind", "-b", "--http"].contains(&flag) {
            let value = value.or_else(|| words.next())?;
            return value.rsplit(':').next()?.parse().ok();
        }
    }
    None
}

/// The ports of this machine that nginx sends requests to, from `nginx -T`.
pub fn proxied(dump: &str) -> BTreeSet<u16> {
    let targets =
        dump.lines().filter_map(|line| line.trim().strip_prefix("proxy_pass ")?.trim().strip_prefix("http://"));
    let places = targets.map(|target| target.split(['/', ';', '$']).next().unwrap_or_default());
    places
        .filter_map(|place| place.rsplit_once(':'))
        .filter(|(host, _)| is_local(host))
        .filter_map(|(_, port)| port.parse().ok())
        .collect()
}

/// Without the name and the password that a checkout's remote may hold: everybody may read the settings.
pub fn plain_url(url: &str) -> String {
    match url.split_once("://") {
        Some(("https", rest)) => {
            let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
            let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
            format!("https://{place}/{path}")
        }
        _ => url.to_owned(),
    }
}

/// What of an answer the next ones can be held against.
pub fn health(url: &str, body: &str) -> Health {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(|value| value.as_str());
    let well =
        text("status").filter(|word| ["ok", "healthy", "up", "pass", "alive"].contains(&word.to_lowercase().as_str()));
    let is_commit =
        |key: &&str| text(key).is_some_and(|text| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    let revision = ["revision", "commit", "git_sha", "sha", "version"].into_iter().find(is_commit);
    Health {
        url: url.to_owned(),
        status: well.map(|word| ("/status".to_owned(), word.to_owned())),
        revision: revision.map(|key| format!("/{key}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, folder: &str, command: &str) -> Shown {
        Shown::parse(
            name,
            &format!(
                "LoadState=loaded\nWorkingDirectory={folder}\nExecStart={{ path=/x ; argv[]={command} ; ignore_errors=no }}"
            ),
        )
    }

    #[test]
    fn units_are_found_by_name_and_by_folder_and_ordered_by_role() {
        let app = "erp".parse().unwrap();
        let tree = Path::new("/home/deploy/ERP");
        let all = [
            unit("erp-worker.service", "/", "celery -A x"),
            unit("erp-nightly.timer", "", ""),
            unit("erp-nightly.service", "/", "/bin/true"),
            unit("shop.service", "/home/deploy/ERP/backend", "uvicorn x"),
            unit("erp.service", "/home/deploy/ERP", "uvicorn x"),
            unit("erpnext.service", "/", "x"),
            unit("other.service", "/home/deploy/ERP2", "x"),
        ];
        let ours: Vec<Shown> = all.into_iter().filter(|unit| belongs(unit, &app, Some(tree))).collect();
        let told: Vec<(String, Role)> = units(&ours).into_iter().map(|(name, role)| (name.to_string(), role)).collect();
        assert_eq!(
            told,
            [
                ("erp.service".to_owned(), Role::Web),
                ("shop.service".to_owned(), Role::Web),
                ("erp-worker.service".to_owned(), Role::Worker),
                ("erp-nightly.timer".to_owned(), Role::Timer),
            ]
        );
    }

    #[test]
    fn a_database_is_on_this_server_or_it_is_none() {
        let url = |url: &str| database(&format!("A=1\nexport DATABASE_URL=\"{url}\"\n"));
        assert_eq!(url("postgresql+asyncpg://u:p%40@localhost:5432/erp?x=1").as_deref(), Some("erp"));
        assert_eq!(url("postgresql:///erp").as_deref(), Some("erp"));
        assert_eq!(url("postgresql://u:p@db.example/erp"), None);
        assert_eq!(url("sqlite:////srv/x.db"), None);
        assert_eq!(database("POSTGRES_DB=erp\nPOSTGRES_HOST=127.0.0.1\n").as_deref(), Some("erp"));
        assert_eq!(database("POSTGRES_DB=erp\nPOSTGRES_HOST=db\n"), None);
    }

    #[test]
    fn a_port_is_in_the_command_or_in_nginx() {
        assert_eq!(port("uvicorn x:app --host 0.0.0.0 --port 8001"), Some(8001));
        assert_eq!(port("gunicorn --bind=127.0.0.1:9000 x"), Some(9000));
        assert_eq!(port("gunicorn x"), None);
        let dump = "location / {\n  proxy_pass http://127.0.0.1:8000;\n}\n proxy_pass http://localhost:8000/ws/;\n proxy_pass http://up;\n";
        assert_eq!(proxied(dump), [8000].into());
    }

    #[test]
    fn no_password_of_a_remote_is_written_down() {
        assert_eq!(plain_url("https://me:token@forge.example/erp.git"), "https://forge.example/erp.git");
        assert_eq!(plain_url("git@forge.example:me/erp.git"), "git@forge.example:me/erp.git");
    }

    #[test]
    fn an_answer_tells_what_the_next_ones_must_say() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let found = health("u", &format!(r#"{{"status": "OK", "commit": "{commit}"}}"#));
        assert_eq!(found.status, Some(("/status".to_owned(), "OK".to_owned())));
        assert_eq!(found.revision.as_deref(), Some("/commit"));
        assert_eq!(health("u", "it works"), Health { url: "u".into(), ..Health::default() });
        assert_eq!(
            health("u", r#"{"status": "down", "version": "1.2"}"#),
            Health { url: "u".into(), ..Health::default() }
        );
    }
}
