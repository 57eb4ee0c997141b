//! The settings of an application that has none yet: what was found, what the flags say, and what a person answers.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use super::{Args, InitError, say, warn};
use crate::config::{self, Role};
use crate::init::Generated;
use crate::init::compose::{Health, Known, KnownDatabase, Tool, compose};
use crate::init::inspect::{self, Found};
use crate::init::machine;
use crate::model::names::{App, UnitName};
use crate::paths;

/// What a person may say about the application; whatever is not said is looked for on this server.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Said {
    /// The repository: ssh://, https:// or file://.
    #[arg(long)]
    pub url: Option<String>,
    /// The branch that is deployed.
    #[arg(long)]
    pub branch: Option<String>,
    /// The unix user that the application runs as.
    #[arg(long)]
    pub user: Option<String>,
    /// A unit of the application, as NAME=web, NAME=worker or NAME=timer; once for each.
    #[arg(long = "unit", value_parser = unit)]
    pub units: Vec<(UnitName, Role)>,
    /// Its database in PostgreSQL on this server, or "none".
    #[arg(long)]
    pub database: Option<String>,
    /// What migrates the database.
    #[arg(long, value_parser = tool)]
    pub migrations: Option<Tool>,
    /// Where it says that it is well, past nginx: http://127.0.0.1:8000/health.
    #[arg(long)]
    pub health: Option<String>,
    /// Ask nothing, although this is a terminal.
    #[arg(long)]
    pub yes: bool,
}

fn unit(text: &str) -> Result<(UnitName, Role), String> {
    let (name, role) = text.split_once('=').unwrap_or((text, "web"));
    let role = match role {
        "web" => Role::Web,
        "worker" => Role::Worker,
        "timer" => Role::Timer,
        other => return Err(format!("{other:?} is no role: web, worker or timer")),
    };
    Ok((name.parse().map_err(|bad| format!("{bad}"))?, role))
}

fn tool(text: &str) -> Result<Tool, String> {
    match text {
        "alembic" => Ok(Tool::Alembic),
        "django" => Ok(Tool::Django),
        other => Err(format!("{other:?}: alembic or django; any other tool is configured by hand")),
    }
}

/// Writes `/etc/tsh-agent/apps/<app>.toml`, which must not be there yet.
pub fn settings(args: &Args) -> Result<(), InitError> {
    let app = &args.app;
    let found = inspect::look(app, args.from.as_deref());
    let known = settle(app, &found, &args.said)?;
    write(app, &known)
}

/// The same from what is known.
pub fn write(app: &App, known: &Known) -> Result<(), InitError> {
    let path = paths::settings(app);
    let text = compose(app, known);
    // What it says must be right before anybody relies on it: a flag may have said nonsense.
    config::parse(app, &path, &text)?;
    let change = machine::write(&Generated::new(path.clone(), text))?;
    super::tell(change, &format!("{}: read it, it is yours", path.display()));
    Ok(())
}

/// What goes into the settings. What is still missing is one refusal that names every flag.
pub fn settle(app: &App, found: &Found, said: &Said) -> Result<Known, InitError> {
    let mut ask = Ask { person: !said.yes && std::io::stdin().is_terminal(), missing: Vec::new() };
    let url = ask.text("repository", "--url", said.url.clone(), found.url.clone());
    let branch = ask.text("branch", "--branch", said.branch.clone(), found.branch.clone().or(Some("main".to_owned())));
    let units = if said.units.is_empty() { found.units.clone() } else { said.units.clone() };
    if units.is_empty() {
        ask.missing.push(format!("no unit of systemd is called {app}: write one, or name it with --unit NAME=web"));
    }
    for (name, role) in &units {
        say("found", &format!("{name}, {role:?}").to_lowercase());
    }
    let user = ask.text("unix user of the application", "--user", said.user.clone(), found.user.clone());
    let database = database(&mut ask, found, said);
    let health = health(&mut ask, found, said);
    if !ask.missing.is_empty() {
        return Err(InitError::Refused(format!(
            "{} has no settings yet, and not all was found: {}",
            app,
            ask.missing.join("; ")
        )));
    }
    Ok(Known {
        url,
        branch,
        requirements: found.requirements.clone(),
        venv: found.venv.clone(),
        user,
        units,
        state: found.state.clone(),
        public: found.public.clone(),
        database,
        health,
    })
}

fn database(ask: &mut Ask, found: &Found, said: &Said) -> Option<KnownDatabase> {
    let (name, owner, tool) = match &said.database {
        Some(name) if name == "none" => return None,
        Some(name) => {
            let (owner, tool) = crate::init::database::ask(name);
            (name.clone(), owner, tool)
        }
        None => found.database.clone()?,
    };
    say("found", &format!("database {name}{}", owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default()));
    let Some(owner) = owner else {
        ask.missing
            .push(format!("there is no database {name} in PostgreSQL on this server: make it, or say --database none"));
        return None;
    };
    let Some(tool) = said.migrations.or(tool) else {
        let why =
            format!("what migrates {name} does not show: --migrations alembic, --migrations django or --database none");
        ask.missing.push(why);
        return None;
    };
    Some(KnownDatabase { name, owner, tool })
}

fn health(ask: &mut Ask, found: &Found, said: &Said) -> Health {
    let port = found.port.map(|port| format!("http://127.0.0.1:{port}"));
    let answers = match (&said.health, &port) {
        (Some(url), _) => inspect::health(std::slice::from_ref(url)),
        (None, Some(port)) => {
            let usual = ["/health", "/healthz", "/api/health", "/api/v1/health", "/"];
            inspect::health(&usual.map(|path| format!("{port}{path}")))
        }
        (None, None) => None,
    };
    let guess = answers.as_ref().map(|health| health.url.clone()).or_else(|| port.map(|port| port + "/health"));
    let url = ask.text("where it says that it is well", "--health", said.health.clone(), guess);
    match answers.filter(|health| health.url == url) {
        Some(health) => health,
        None => {
            if !url.is_empty() {
                warn(&format!(
                    "{url} does not answer now: until it does, only the first deployment shows whether it is right"
                ));
            }
            Health { url, ..Health::default() }
        }
    }
}

/// Asks a person, where there is one.
struct Ask {
    person: bool,
    missing: Vec<String>,
}

impl Ask {
    fn text(&mut self, what: &str, flag: &str, said: Option<String>, found: Option<String>) -> String {
        if let Some(said) = said {
            return said;
        }
        if self.person {
            let shown = found.as_ref().map(|found| format!(" [{found}]")).unwrap_or_default();
            super::super::say::out(&format!("{what}{shown}: "));
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line).is_ok() && !line.trim().is_empty() {
                return line.trim().to_owned();
            }
        } else if let Some(found) = &found {
            say("found", &format!("{what}: {found}"));
        }
        found.unwrap_or_else(|| {
            self.missing.push(format!("{what}: {flag}"));
            String::new()
        })
    }
}

/// A folder that a person named.
pub fn checkout(path: &str) -> Result<PathBuf, String> {
    match std::fs::canonicalize(path) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err("is no folder".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said { yes: true, health: Some("http://127.0.0.1:9/health".into()), ..Said::default() }
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once_with_its_flag() {
        let error =
            settle(&"erp".parse().unwrap(), &Found::default(), &Said { yes: true, ..Said::default() }).unwrap_err();
        let text = error.to_string();
        for flag in ["--url", "--unit", "--user", "--health"] {
            assert!(text.contains(flag), "{text}");
        }
        assert!(!text.contains("--database"), "none is an answer: {text}");
    }

    #[test]
    fn what_is_said_counts_more_than_what_was_found() {
        let found = Found {
            url: Some("https://forge.example/old.git".into()),
            user: Some("deploy".into()),
            units: vec![("erp.service".parse().unwrap(), Role::Web)],
            database: Some(("erp".into(), Some("erp".into()), None)),
            ..Found::default()
        };
        let app: App = "erp".parse().unwrap();
        let error = settle(&app, &found, &said()).unwrap_err();
        assert!(error.to_string().contains("--migrations"), "{error}");
        let said =
            Said { migrations: Some(Tool::Alembic), url: Some("https://forge.example/new.git".into()), ..said() };
        let known = settle(&app, &found, &said).unwrap();
        assert_eq!((known.url.as_str(), known.branch.as_str()), ("https://forge.example/new.git", "main"));
        assert_eq!(known.database.unwrap().tool, Tool::Alembic);
        let none = Said { database: Some("none".into()), ..said };
        assert_eq!(settle(&app, &found, &none).unwrap().database, None);
    }

    #[test]
    fn a_unit_has_a_role() {
        assert_eq!(unit("erp.service").unwrap().1, Role::Web);
        assert_eq!(unit("erp-worker.service=worker").unwrap().1, Role::Worker);
        assert!(unit("erp.service=boss").unwrap_err().contains("web, worker or timer"));
        assert!(unit("../x=web").is_err());
    }
}
