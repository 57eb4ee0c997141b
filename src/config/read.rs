//! From `/etc/tsh-agent/apps/<app>.toml` to settings.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use super::document::{Document, MAX_SIZE, Read, Table, too_large};
use super::settings::{Probe, ProbePlan, Role, Service};
use super::values::number;
use super::{
    ConfigError, Settings, backup, build, database, gates, notices, offsite, probe, push, rehearsal, service, source,
};
use crate::model::names::{App, BadName};
use crate::paths;

/// The settings of an application.
///
/// # Errors
///
/// The file cannot be read, or the first thing in it that is wrong.
pub fn load(app: &App) -> Result<Settings, ConfigError> {
    load_from(app, &paths::settings(app))
}

/// Settings from the text of a file; `file` is only named in errors.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn parse(app: &App, file: &Path, text: &str) -> Result<Settings, ConfigError> {
    let document = Document::new(file, text);
    let tree = document.tree()?;
    let root = document.root(&tree);
    root.known(&[
        "source",
        "push",
        "build",
        "service",
        "database",
        "backup",
        "offsite",
        "gates",
        "rehearsal",
        "probe",
        "retention",
        "notices",
    ])?;
    let retention = root.table("retention")?;
    retention.known(&["keep_releases", "quarantine_days"])?;
    let quarantine_days = retention.optional("quarantine_days", number(1..=3650))?.unwrap_or(30);

    let source = source::read(&root.table("source")?)?;
    let push = push::read(&root.table("push")?, &source)?;
    let build = build::read(&root.table("build")?)?;
    let service = service::read(app, &root.table("service")?)?;
    let database = root.optional("database", |value| database::read(value, quarantine_days))?;
    let backup = backup::read(&root.table("backup")?, &service.state)?;
    let offsite =
        root.has("offsite").then(|| root.table("offsite").and_then(|table| offsite::read(&table))).transpose()?;
    let gates = gates::read(&root.table("gates")?)?;
    let rehearsal = rehearsal::read(&root.table("rehearsal")?)?;
    let probe = probe::read(&root.table("probe")?, database.is_some())?;
    someone_answers(&root, &service, &probe)?;
    let keep_releases = retention.optional("keep_releases", number(1..=1000))?.unwrap_or(5);
    let notices = notices::read(&root.table("notices")?)?;

    Ok(Settings {
        app: app.clone(),
        source,
        push,
        build,
        service,
        database,
        backup,
        offsite,
        gates,
        rehearsal,
        probe,
        keep_releases,
        notices,
    })
}

/// All applications that are configured, sorted.
///
/// # Errors
///
/// The folder cannot be read, or a file in it is not named like an application.
pub fn apps() -> Result<Vec<App>, ConfigError> {
    apps_in(&Path::new(paths::CONFIG).join("apps"))
}

pub(super) fn load_from(app: &App, file: &Path) -> Result<Settings, ConfigError> {
    parse(app, file, &text_of(app, file)?)
}

/// The text of an application's file.
pub(super) fn text_of(app: &App, file: &Path) -> Result<String, ConfigError> {
    let wrong = |problem: String| ConfigError::of_file(file, problem);
    let bytes = bounded(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => wrong(format!("no such file, so there is no application {:?} here", app.as_str())),
        _ => wrong(format!("cannot be read: {error}")),
    })?;
    if bytes.len() > MAX_SIZE {
        return Err(wrong(too_large()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        ConfigError { line: Some(line), ..wrong("not text in UTF-8; save the file in that encoding".to_owned()) }
    })
}

/// At most one byte more than is allowed, so that a mistake such as a link to a device does not fill the memory.
fn bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn apps_in(folder: &Path) -> Result<Vec<App>, ConfigError> {
    let unreadable = |error: io::Error| ConfigError::of_file(folder, format!("cannot be read: {error}"));
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut apps = Vec::new();
    for entry in entries {
        let file = entry.map_err(unreadable)?.path();
        // The secrets of the applications and what editors leave behind are here as well.
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Some(stem) = name.strip_suffix(".toml").filter(|_| !name.starts_with('.')) else { continue };
        let app =
            stem.parse().map_err(|bad: BadName| ConfigError::of_file(&file, format!("{bad}; rename the file")))?;
        apps.push(app);
    }
    apps.sort();
    Ok(apps)
}

/// Success must be proven: without a unit that answers, only a command can do that.
fn someone_answers(root: &Table<'_>, service: &Service, probe: &ProbePlan) -> Read<()> {
    let web = service.units.iter().any(|unit| unit.role == Role::Web);
    let command = probe.probes.iter().any(|probe| matches!(probe, Probe::Command { .. }));
    if web || command {
        return Ok(());
    }
    let problem =
        "no unit has the role \"web\", so only a command can tell that it is healthy; add a [[probe.command]]";
    Err(root.table("service")?.wrong(problem))
}
