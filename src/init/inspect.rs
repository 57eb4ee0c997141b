//! What this server says of an application that was not configured yet: its units, its database, its checkout, its port.
//! Reads only. What is not certain is left open, for a person to say.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::compose::{Health, KnownDatabase, Tool};
use super::listening::listeners;
use super::machine::run;
use super::shown::Shown;
use crate::config::Role;
use crate::model::names::{App, UnitName};

mod facts;

/// Folders that are state if an application has them and its repository does not.
const STATE: [&str; 8] = ["uploads", "logs", "media", "storage", "instance", "data", "backups", "tmp"];
/// Environments.
const VENVS: [&str; 3] = [".venv", "venv", "env"];
/// Files with the environment in a checkout, the more particular first.
const ENVIRONMENTS: [&str; 3] = [".env.production", ".env.prod", ".env"];

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The application's units, in the order in which they are started.
    pub units: Vec<(UnitName, Role)>,
    /// What systemd says of each.
    pub shown: Vec<Shown>,
    /// As whom they run.
    pub user: Option<String>,
    /// The checkout from which they run, if it is not a release.
    pub checkout: Option<PathBuf>,
    /// Its remote.
    pub url: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// Its commit, and that commit's first line.
    pub head: Option<(String, String)>,
    /// A requirements file in it.
    pub requirements: Option<String>,
    /// The environment in it.
    pub venv: Option<String>,
    /// Folders in it that the application writes.
    pub state: Vec<String>,
    /// Those of them that everybody may read.
    pub public: Vec<String>,
    /// Files with the application's environment, outermost first.
    pub environments: Vec<PathBuf>,
    /// The database.
    pub database: Option<(String, Option<String>, Option<Tool>)>,
    /// The port that it listens on, or that nginx asks.
    pub port: Option<u16>,
}

impl Found {
    /// The database, if enough is known of it.
    #[must_use]
    pub fn database(&self) -> Option<KnownDatabase> {
        let (name, owner, tool) = self.database.clone()?;
        Some(KnownDatabase { name, owner: owner?, tool: tool? })
    }
}

/// Looks; at this checkout if one is named.
#[must_use]
pub fn look(app: &App, checkout: Option<&Path>) -> Found {
    let shown: Vec<Shown> = Shown::all().into_iter().filter(|unit| facts::belongs(unit, app, checkout)).collect();
    let mut found = Found { units: facts::units(&shown), ..Found::default() };
    let web = shown.iter().find(|unit| found.units.first().is_some_and(|(name, _)| name.as_str() == unit.name));
    found.user = web.map(|unit| unit.value("User").to_owned()).filter(|user| !user.is_empty() && user != "root");
    let live = crate::paths::home(app);
    let from = web.and_then(Shown::folder).filter(|folder| !folder.starts_with(&live)).map(Path::to_owned);
    found.checkout = checkout.map(Path::to_owned).or(from).filter(|path| path.is_dir());
    if let Some(path) = found.checkout.clone() {
        look_at_checkout(&mut found, &path);
    }
    look_at_environment(&mut found, app, &shown);
    found.port = port(web, &found);
    found.shown = shown;
    found
}

fn look_at_checkout(found: &mut Found, path: &Path) {
    // As the application's user: git runs what a repository's settings say, and they are not root's.
    let user = found.user.clone();
    let git = |arguments: &[&str]| {
        let folder = path.to_str()?;
        let mut argv = vec!["runuser", "-u", user.as_deref()?, "--", "git", "-C", folder];
        argv.extend(arguments);
        run(&argv, "").ok().map(|said| said.trim().to_owned()).filter(|said| !said.is_empty())
    };
    found.url = git(&["config", "--get", "remote.origin.url"]).map(|url| facts::plain_url(&url));
    found.branch = git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD");
    found.head = git(&["log", "-1", "--format=%H %s"]).and_then(|line| {
        let (sha, subject) = line.split_once(' ')?;
        Some((sha.to_owned(), subject.to_owned()))
    });
    let tracked: BTreeSet<String> =
        git(&["ls-tree", "--name-only", "HEAD"]).unwrap_or_default().lines().map(str::to_owned).collect();
    let is_file = |name: &str| path.join(name).is_file();
    if !is_file("uv.lock") {
        let files = ["requirements.txt", "requirements/production.txt", "requirements/prod.txt"];
        found.requirements = files.into_iter().find(|name| is_file(name)).map(str::to_owned);
    }
    found.venv = VENVS.into_iter().find(|name| is_file(&format!("{name}/pyvenv.cfg"))).map(str::to_owned);
    for name in STATE.into_iter().filter(|name| path.join(name).is_dir() && !tracked.contains(*name)) {
        found.state.push(name.to_owned());
        if fs::metadata(path.join(name)).is_ok_and(|meta| meta.mode() & 0o005 == 0o005) {
            found.public.push(name.to_owned());
        }
    }
    found.environments = ENVIRONMENTS.into_iter().map(|name| path.join(name)).filter(|file| file.is_file()).collect();
    found.environments.truncate(1);
}

fn look_at_environment(found: &mut Found, app: &App, shown: &[Shown]) {
    let named: Vec<PathBuf> =
        shown.iter().flat_map(Shown::environments).map(|(path, _)| path).filter(|path| path.is_file()).collect();
    let mut seen = BTreeSet::new();
    let mut files: Vec<PathBuf> = named.into_iter().filter(|path| seen.insert(path.clone())).collect();
    if files.is_empty() {
        files = found.environments.clone();
    }
    let own = super::database::app_environment(app);
    let texts = files.iter().chain([&own]).filter_map(|path| fs::read_to_string(path).ok());
    let name = texts.filter_map(|text| facts::database(&text)).next();
    found.environments = files;
    found.database = name.map(|name| {
        let (owner, tool) = super::database::ask(&name);
        let has = |file: &str| found.checkout.as_ref().is_some_and(|path| path.join(file).is_file());
        let tool = tool
            .or_else(|| has("alembic.ini").then_some(Tool::Alembic))
            .or_else(|| has("manage.py").then_some(Tool::Django));
        (name, owner, tool)
    });
}

/// What it listens on now; else what its command says; else the only place where nginx sends requests to.
fn port(web: Option<&Shown>, found: &Found) -> Option<u16> {
    let unit = web?.name.as_str();
    let listening = listeners(None).map(|(all, _)| all).unwrap_or_default();
    let own = listening.iter().find(|one| one.unit.as_deref() == Some(unit)).map(|one| one.port);
    own.or_else(|| found.units.first().and(web).and_then(|unit| facts::port(unit.command()))).or_else(|| {
        let ports = facts::proxied(&run(&["nginx", "-T"], "").ok()?);
        (ports.len() == 1).then(|| ports.into_iter().next())?
    })
}

/// The first of these addresses at which something answers with 200, and what its answer can be held against.
#[must_use]
pub fn health(urls: &[String]) -> Option<Health> {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        urls.iter().find_map(|url| {
            let (status, body) = runtime.block_on(crate::steps::probe::look(url))?;
            (status == 200).then(|| facts::health(url, &body))
        })
    };
    // On a thread of its own: who asks may be in a runtime already.
    std::thread::scope(|scope| scope.spawn(ask).join().ok().flatten())
}
