//! `tsh-agent init <app>`: prepares this server for one application. Root runs it; running it again changes nothing.

pub mod ask;
mod data;
mod keys;
mod push;
mod slots;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, Uid, User};

use super::check;
use crate::config::{self, Channel, ConfigError, Settings};
use crate::init::adopt::record::Record;
use crate::init::machine::{self, Change, Failure, run as command};
use crate::init::{Facts, bus, door, folders, generated, hook, needs_door, units};
use crate::model::finding::Level;
use crate::model::names::{App, UnitName};
use crate::model::outcome::Exit;
use crate::paths;

/// The users that the installation makes.
const USERS: [&str; 10] = [
    "tsh-agent",
    "tsh-agent-fetch",
    "tsh-agent-gates",
    "tsh-agent-build",
    "tsh-agent-release",
    "tsh-agent-migrate",
    "tsh-agent-rehearse",
    "tsh-agent-offsite",
    "tsh-agent-webhook",
    "tsh-agent-notify",
];
/// Takes letters for sendmail.
const MAIL: &str = "tsh-mail.socket";

/// Prepare this server for an application, as root
///
/// Where there is no `/etc/tsh-agent/apps/<app>.toml` yet it looks at the server (units, environment, database, port),
/// asks for what it cannot find, and writes one. From the settings it makes folders, drop-ins for the units, the policy
/// for the application's units, the roles in PostgreSQL and the door for nginx. Running it again changes nothing. It
/// starts no deployment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application.
    pub app: App,
    /// A checkout of the application, to look at.
    #[arg(long, value_parser = ask::checkout)]
    pub from: Option<PathBuf>,
    /// What is not looked for.
    #[command(flatten)]
    pub said: ask::Said,
}

/// Why a server could not be prepared. What was made before stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// It was not called by root.
    #[error("init changes the system and needs root: sudo tsh-agent init {0}")]
    NotRoot(App),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server is not ready for these settings.
    #[error("{0}")]
    Refused(String),
    /// Something did not succeed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl InitError {
    /// What the program exits with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotRoot(_) | Self::Config(_) | Self::Refused(_) => Exit::Usage,
            Self::Failed(_) => Exit::Untouched,
        }
    }
}

/// Prepares this server, and says one line for each thing.
///
/// # Errors
///
/// It cannot be prepared, or only in part.
pub fn run(args: &Args) -> Result<Exit, InitError> {
    let app = &args.app;
    if !Uid::effective().is_root() {
        return Err(InitError::NotRoot(app.clone()));
    }
    if !paths::settings(app).exists() {
        ask::settings(args)?;
    } else if args.from.is_some() || args.said != (ask::Said { yes: args.said.yes, ..ask::Said::default() }) {
        let what =
            format!("{} is there already: change it, then call init without flags", paths::settings(app).display());
        return Err(InitError::Refused(what));
    }
    prepare(app)?;
    Ok(Exit::Good)
}

/// Makes everything that follows from the settings, as root.
///
/// # Errors
///
/// The server cannot be prepared, or only in part.
pub fn prepare(app: &App) -> Result<(), InitError> {
    let settings = config::load(app)?;
    let facts = look(&settings)?;

    let mut changed = Vec::new();
    for file in generated(&settings, &facts) {
        let change = machine::write(&file)?;
        tell(change, &file.path.display().to_string());
        if change == Change::Made {
            changed.push(file.path);
        }
    }
    let is_changed = |path: &Path| changed.iter().any(|changed| changed == path);
    make_folders(&settings, &facts, is_changed(&folders::table_path(app)))?;
    data::environment(&settings)?;
    keys::make(&settings)?;
    let new_secret = push::webhook(&settings)?;
    if let Some(database) = &settings.database {
        data::roles(database)?;
    }
    let in_units = changed.iter().any(|path| path.starts_with("/etc/systemd/system"));
    reload(in_units)?;
    slots::enable(&settings)?;
    restart(app, is_changed(Path::new(&units::core_path(app))))?;
    backups(&settings, is_changed(Path::new(&units::timer_path(app))))?;
    mail(&settings)?;
    push::timer_and_users(
        &settings,
        is_changed(Path::new(&units::poll_path(app))),
        is_changed(Path::new(&bus::policy_path(app))),
    )?;
    push::face(&settings, new_secret || is_changed(Path::new(&hook::drop_in_path(app))))?;
    if needs_door(&settings) || facts.nginx {
        let without = match needs_door(&settings) {
            true => "nobody is kept out during a migration",
            false => "`tsh-agent maintenance on` keeps nobody out",
        };
        hang_door(app, is_changed(&door::snippet_path(app)), without);
    }
    let polkit = check::polkit();
    if polkit.level == Level::Bad {
        warn(&format!("polkit: {}: {}", polkit.what, polkit.mend.unwrap_or_default()));
    }
    Ok(())
}

/// What the settings do not say, and the files that follow from them need.
///
/// # Errors
///
/// The server is not ready for these settings.
pub fn facts(settings: &Settings) -> Result<Facts, InitError> {
    look(settings)
}

/// What the machine says, before anything is changed.
fn look(settings: &Settings) -> Result<Facts, InitError> {
    let refused = |why: String| Err(InitError::Refused(why));
    for name in USERS {
        if user(name)?.is_none() {
            return refused(format!(
                "there is no user {name}: install tsh-agent first (scripts/install, or the package)"
            ));
        }
    }
    let name = &settings.service.user;
    let Some(user) = user(name)? else {
        return refused(format!(
            "there is no user {name:?}, which service.user names: make it, or correct the settings"
        ));
    };
    let group = Group::from_gid(user.gid).ok().flatten();
    let Some(group) = group else {
        return refused(format!("the primary group {} of user {name} has no name: make it", user.gid));
    };
    if let Some(key) = &settings.source.key {
        if let Some(why) = machine::untrusted(key) {
            return refused(format!("source.key: {why}; systemd reads it as root, so nobody else may replace it"));
        }
        if !key.exists() {
            warn(&format!("{} is missing: put the deploy key there (root, 0600)", key.display()));
        }
    }
    if let Some(offsite) = &settings.offsite {
        let path = &offsite.credentials;
        if let Some(why) = machine::untrusted(path) {
            return refused(format!(
                "offsite.credentials: {why}; systemd reads it as root, so nobody else may replace it"
            ));
        }
        if !path.exists() {
            warn(&format!("{} is missing: put the credentials of the store there (root, 0600)", path.display()));
        }
    }
    for notice in &settings.notices.all {
        let Some(secret) = &notice.secret else { continue };
        if let Some(why) = machine::untrusted(secret) {
            return refused(format!("secret of notice {}: {why}; systemd reads it as root", notice.name));
        }
        if !secret.exists() {
            warn(&format!("{} is missing: until it is there (root, 0600) no notice is sent", secret.display()));
        }
    }
    if let Some(schedule) = &settings.backup.schedule
        && let Err(failure) = command(&["systemd-analyze", "calendar", "--", schedule], "")
    {
        return refused(format!("backup.schedule {schedule:?} is not one: {failure}"));
    }
    let mut unit_group = None;
    // The slots' units are written here.
    for unit in settings.all_units().filter(|unit| !settings.is_slot(unit)) {
        let group = look_at_unit(&settings.app, unit)?;
        unit_group = unit_group.or(group);
    }
    Ok(Facts { group: group.name, unit_group, nginx: door::has_nginx() })
}

fn user(name: &str) -> Result<Option<User>, Failure> {
    User::from_name(name).map_err(|error| Failure::new(format!("look for user {name}"), error))
}

/// Warns of a unit that could not run a release; gives the group it runs as.
fn look_at_unit(app: &App, unit: &UnitName) -> Result<Option<String>, Failure> {
    let properties = "--property=LoadState,Group,WorkingDirectory,ExecStart";
    let shown = command(&["systemctl", "show", properties, "--", unit.as_str()], "")?;
    let value = |key: &str| {
        shown.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    if value("LoadState") != "loaded" {
        warn(&format!(
            "{unit} is {}: write /etc/systemd/system/{unit}, then systemctl daemon-reload",
            value("LoadState")
        ));
        return Ok(None);
    }
    let current = folders::current(app).display().to_string();
    let runs_release = value("WorkingDirectory").starts_with(&current) || value("ExecStart").contains(&current);
    if unit.as_str().ends_with(".service") && !runs_release && !Record::path_of(app).exists() {
        warn(&format!("{unit} does not run from {current}: set WorkingDirectory={current} (systemctl edit {unit})"));
    }
    Ok(Some(value("Group")).filter(|group| !group.is_empty()))
}

fn make_folders(settings: &Settings, facts: &Facts, table_changed: bool) -> Result<(), InitError> {
    let app = &settings.app;
    let all = folders::folders(settings, facts);
    let before: Vec<bool> = all.iter().map(machine::is_so).collect();
    let link_before = folders::current(app).is_symlink();
    if table_changed || !link_before || before.contains(&false) {
        command(&["systemd-tmpfiles", "--create", &folders::table_path(app).to_string_lossy()], "")?;
    }
    for (folder, before) in all.iter().zip(before) {
        if !machine::is_so(folder) {
            let why = format!("systemd-tmpfiles could not make it {}:{}", folder.owner, folder.group);
            return Err(Failure::new(folder.path.display().to_string(), why).into());
        }
        tell(made(!before), &folder.path.display().to_string());
    }
    if !folders::current(app).is_symlink() {
        let why = format!("{} is in the way of the link to the live release: move it", folders::current(app).display());
        return Err(InitError::Refused(why));
    }
    tell(made(!link_before), &folders::current(app).display().to_string());
    Ok(())
}

/// A reload costs PID 1 a tenth of a second and more: only if a unit is another one, perhaps since a run that was
/// cut off.
fn reload(changed: bool) -> Result<(), InitError> {
    let stale = command(&["systemctl", "show", "--property=NeedDaemonReload", "tsh-agent*"], "")?.contains("=yes");
    if changed || stale {
        command(&["systemctl", "daemon-reload"], "")?;
        tell(Change::Made, "systemctl daemon-reload");
    }
    Ok(())
}

/// The core sees its drop-in when it starts; a deployment that runs goes on afterwards.
fn restart(app: &App, changed: bool) -> Result<(), InitError> {
    let shown =
        command(&["systemctl", "show", "--timestamp=unix", "-P", "ActiveEnterTimestamp", "tsh-agent.service"], "")?;
    let started: Option<i64> = shown.trim().strip_prefix('@').and_then(|seconds| seconds.parse().ok());
    let active = command(&["systemctl", "is-active", "--quiet", "tsh-agent.service"], "").is_ok();
    let drop_in = fs::metadata(units::core_path(app)).map(|found| found.mtime()).unwrap_or_default();
    let current = active && !changed && started.is_some_and(|started| started >= drop_in);
    if !current {
        command(&["systemctl", "restart", "tsh-agent.service"], "")?;
    }
    tell(made(!current), "tsh-agent.service runs with it");
    Ok(())
}

/// The timer of the daily backup runs if the settings want one.
fn backups(settings: &Settings, changed: bool) -> Result<(), InitError> {
    let Some(timer) = settings.database.as_ref().map(|_| units::backup_timer(&settings.app)) else { return Ok(()) };
    wind(&timer, settings.backup.schedule.clone(), "backup.schedule", changed)
}

/// A timer runs if the settings want it: then they say how often.
fn wind(timer: &str, often: Option<String>, key: &str, changed: bool) -> Result<(), InitError> {
    let is = |what: &str| command(&["systemctl", "--quiet", what, timer], "").is_ok();
    let runs = is("is-enabled") && is("is-active");
    match often {
        Some(often) => {
            if !runs {
                command(&["systemctl", "--quiet", "enable", "--now", timer], "")?;
            } else if changed {
                command(&["systemctl", "restart", timer], "")?;
            }
            tell(made(!runs || changed), &format!("{timer}: {often}"));
        }
        None => {
            if runs {
                command(&["systemctl", "--quiet", "disable", "--now", timer], "")?;
            }
            tell(made(runs), &format!("{timer} is off, as {key} says"));
        }
    }
    Ok(())
}

/// Letters are taken if a notice of any application wants mail; one application does not switch it off for another.
fn mail(settings: &Settings) -> Result<(), InitError> {
    if !settings.notices.all.iter().any(|notice| matches!(notice.channel, Channel::Mail { .. })) {
        return Ok(());
    }
    let is = |what: &str| command(&["systemctl", "--quiet", what, MAIL], "").is_ok();
    let takes = is("is-enabled") && is("is-active");
    if !takes {
        command(&["systemctl", "--quiet", "enable", "--now", MAIL], "")?;
    }
    tell(made(!takes), &format!("{MAIL} takes letters for sendmail"));
    if !Path::new("/usr/sbin/sendmail").exists() {
        warn("/usr/sbin/sendmail is missing: install a mail server, such as msmtp-mta or postfix");
    }
    Ok(())
}

/// Without nginx, or with a configuration of its own that is broken, everything else still works: so only warnings.
/// `without`: what it means that the door is not there.
fn hang_door(app: &App, changed: bool, without: &str) {
    let line = door::include_line(app);
    let dump = match command(&["nginx", "-T"], "") {
        Ok(dump) => dump,
        Err(failure) => {
            return warn(&format!("the door is not in place, so {without}: nginx -T does not succeed: {failure}"));
        }
    };
    if !door::is_included(app, &dump) {
        return warn(&format!(
            "the door is not in place, so {without}: add `{line}` to the server block, then systemctl reload nginx"
        ));
    }
    if changed && let Err(failure) = command(&["systemctl", "reload", "nginx.service"], "") {
        return warn(&format!("the door is not in place, so {without}: nginx does not reload: {failure}"));
    }
    tell(made(changed), "nginx knows the door");
}

fn made(yes: bool) -> Change {
    if yes { Change::Made } else { Change::AlreadySo }
}

/// A line about one thing.
pub fn tell(change: Change, what: &str) {
    say(change.word(), what);
}

fn warn(what: &str) {
    say("warning", what);
}

/// A line: what happened to it, and what it is.
pub fn say(word: &str, what: &str) {
    super::say::out(&format!("{word:<11} {what}\n"));
}
