//! Each part of an adoption, done and taken back. Every one looks first, so each may be done again.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::{failed, usage};
use crate::api::client::Client;
use crate::cli::init::{self, tell};
use crate::cli::{Failure, say};
use crate::config;
use crate::host::files as host;
use crate::init::adopt::record::Record;
use crate::init::adopt::{Effect, exchange, shared, tree};
use crate::init::machine::{self, Change, run as command};
use crate::init::{Generated, database};
use crate::model::names::{App, ReleaseId};
use crate::model::outcome::Exit;
use crate::model::slot::Link;
use crate::paths;

/// Does what is left of it, each part written down before it is done.
pub async fn make(mut record: Record) -> Result<(), Failure> {
    for index in 0..record.effects.len() {
        let effect = record.effects[index].clone();
        if record.begun <= index {
            record.begun = index + 1;
            record.write().map_err(failed)?;
        }
        let words = effect.words(&record.app);
        one(&mut record, &effect).await.map_err(|failure| told(failure, &words))?;
        init::say("done", &words);
    }
    Ok(())
}

fn told(failure: Failure, words: &str) -> Failure {
    let hint = "the application runs on; when the cause is mended, call it again, or `sudo tsh-agent adopt --undo`";
    Failure::new(failure.exit, format!("could not {words}: {}", failure.what)).hint(hint)
}

async fn one(record: &mut Record, effect: &Effect) -> Result<(), Failure> {
    let app = record.app.clone();
    match effect {
        Effect::File { path, text, mode } => machine::write(&file(path, text, *mode)).map(drop).map_err(failed),
        Effect::Prepare => init::prepare(&app).map_err(|error| Failure::new(error.exit(), crate::host::chain(&error))),
        Effect::Number => {
            if record.release.is_none() {
                let client = Client::connect(None).await?;
                record.release = Some(client.adopt(&app, &record.revision, &record.subject).await?);
                record.write().map_err(failed)?;
            }
            Ok(())
        }
        Effect::Release { from, without, shared, venv } => {
            let venv = venv.as_deref();
            let known_as = record.path.as_path();
            let tree = tree::Tree { app: &app, from, known_as, without, shared, venv, revision: &record.revision };
            tree::seal(&tree, release(record)?).map_err(failed)
        }
        Effect::Link => link(&app, release(record)?).map_err(failed),
        Effect::State { from, folder, was, mode } => {
            let to = shared(&app, folder);
            exchange::leave_link(from, &to, &to).map_err(failed)?;
            chown(&to, Some(was.0), Some(was.1)).map_err(failed)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(*mode)).map_err(failed)
        }
        Effect::Path { path, aside } => {
            exchange::leave_link(path, aside, &paths::home(&app).join("current")).map_err(failed)
        }
        Effect::DropIns { files } => {
            for (path, text) in files {
                machine::write(&file(path, text, 0o644)).map_err(failed)?;
            }
            command(&["systemctl", "daemon-reload"], "").map(drop).map_err(failed)
        }
    }
}

fn file(path: &Path, text: &str, mode: u32) -> Generated {
    Generated { path: path.to_owned(), text: text.to_owned(), mode }
}

fn release(record: &Record) -> Result<ReleaseId, Failure> {
    record.release.ok_or_else(|| failed("the release has no number"))
}

/// The link is the core's to move later.
fn link(app: &App, id: ReleaseId) -> std::io::Result<()> {
    if host::link(app)? != Some(id) {
        host::point(app, Link::Current, Some(id))?;
    }
    let core = User::from_name("tsh-agent").ok().flatten();
    lchown(
        paths::links(app).join("current"),
        core.as_ref().map(|user| user.uid.as_raw()),
        core.map(|user| user.gid.as_raw()),
    )
}

/// Takes everything back, the last part first. What still runs from the release keeps it until it is restarted.
pub async fn unmake(mut record: Record) -> Result<Exit, Failure> {
    let app = record.app.clone();
    if !record.undoing {
        may_go_back(&record).await?;
        record.undoing = true;
        record.write().map_err(failed)?;
    }
    while let Some(index) = record.begun.checked_sub(1) {
        let effect = record.effects[index].clone();
        if matches!(effect, Effect::Link)
            && let Some(process) = runs_from_releases(&app)
        {
            say::out(&format!(
                "process {process} still runs from {}, which stays until it does not\n",
                paths::releases(&app).display()
            ));
            say::out("  restart the application's units, then again: sudo tsh-agent adopt --undo\n");
            return Ok(Exit::Good);
        }
        let words = effect.words(&app);
        undo(&record, &effect).map_err(|failure| told(failure, &format!("take back: {words}")))?;
        init::say("undone", &words);
        record.begun = index;
        record.write().map_err(failed)?;
    }
    record.forget().map_err(failed)?;
    say::out(&format!("{app} runs in place again; the agent's roles in PostgreSQL and its backups stay\n"));
    Ok(Exit::Good)
}

/// Only the tree that was adopted can go back to where it was.
async fn may_go_back(record: &Record) -> Result<(), Failure> {
    let app = &record.app;
    let begun = |wanted: fn(&Effect) -> bool| record.effects.iter().take(record.begun).any(wanted);
    if !begun(|effect| matches!(effect, Effect::Path { .. })) {
        return Ok(());
    }
    let status = Client::connect(None).await?.status(app).await?;
    if let Some(id) = status.running {
        return Err(
            usage(format!("deployment {id} of {app} runs")).hint(format!("`tsh-agent watch {id}` waits for its end"))
        );
    }
    let live = host::link(app).map_err(failed)?;
    match (live, record.release) {
        (live, adopted) if live == adopted => Ok(()),
        (live, Some(adopted)) => {
            let what = format!(
                "release {} is live, not {adopted}, which was adopted: putting the old tree back would undo deployments",
                live.map_or_else(|| "none".to_owned(), |id| id.to_string())
            );
            Err(usage(what).hint(format!("`tsh-agent rollback --app {app} --to {adopted}` first")))
        }
        (_, None) => Ok(()),
    }
}

fn undo(record: &Record, effect: &Effect) -> Result<(), Failure> {
    let app = &record.app;
    match effect {
        Effect::DropIns { files } => {
            for (path, _) in files {
                machine::remove(path).map_err(failed)?;
                remove_empty(path.parent());
            }
            command(&["systemctl", "daemon-reload"], "").map(drop).map_err(failed)
        }
        Effect::Path { path, aside } => {
            exchange::swap_back(path, aside).map_err(failed)?;
            // Nobody knew that name before, and nobody needs it.
            if aside.is_symlink() { machine::remove(aside).map_err(failed) } else { Ok(()) }
        }
        Effect::State { from, folder, was, .. } => {
            let to = shared(app, folder);
            if from.is_symlink() || to.is_symlink() {
                exchange::take_back(from, &to).map_err(failed)?;
            }
            chown(from, Some(was.0), Some(was.1)).map_err(failed)?;
            fs::set_permissions(from, fs::Permissions::from_mode(was.2)).map_err(failed)
        }
        Effect::Link => host::point(app, Link::Current, None).map_err(failed),
        Effect::Release { .. } => {
            let Some(id) = record.release else { return Ok(()) };
            crate::steps::files::remove(&paths::release(app, id)).map_err(|cause| failed(cause.what))
        }
        // History keeps its numbers.
        Effect::Number => Ok(()),
        Effect::Prepare => unprepare(record),
        Effect::File { path, text, .. } => put_away(path, text),
    }
}

/// A file that somebody has changed since is kept under another name.
fn put_away(path: &Path, text: &str) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|found| found != text.as_bytes()) {
        let kept = PathBuf::from(format!("{}.kept", path.display()));
        tell(Change::Made, &format!("{}: it was changed since, so it is kept as {}", path.display(), kept.display()));
        return fs::rename(path, kept).map_err(failed);
    }
    machine::remove(path).map_err(failed)
}

/// What `init` made for this application, but for backups and what is in the database.
fn unprepare(record: &Record) -> Result<(), Failure> {
    let app = &record.app;
    let settings = config::load(app).map_err(failed)?;
    let timer = crate::init::units::backup_timer(app);
    if settings.database.is_some() {
        command(&["systemctl", "--quiet", "disable", "--now", &timer], "").map_err(failed)?;
    }
    let facts = init::facts(&settings).map_err(|error| Failure::new(error.exit(), error.to_string()))?;
    let door = crate::init::door::snippet_path(app);
    let dump = command(&["nginx", "-T"], "").unwrap_or_default();
    for file in crate::init::generated(&settings, &facts) {
        // nginx would not start again without what it includes.
        if file.path == door && crate::init::door::is_included(app, &dump) {
            tell(Change::AlreadySo, &format!("{} stays, because nginx includes it", door.display()));
            continue;
        }
        machine::remove(&file.path).map_err(failed)?;
        remove_empty(file.path.parent());
    }
    machine::remove(&database::migration_path(app)).map_err(failed)?;
    for cache in [paths::fetched(app), paths::built(app)] {
        crate::steps::files::remove(&cache).map_err(|cause| failed(cause.what))?;
    }
    for folder in settings.service.state.iter().map(|folder| shared(app, folder)).filter(|link| link.is_symlink()) {
        machine::remove(&folder).map_err(failed)?;
    }
    machine::remove(&paths::home(app).join("current")).map_err(failed)?;
    let home = paths::home(app);
    for folder in [home.join("shared"), paths::links(app), paths::releases(app), home] {
        remove_empty(Some(&folder));
    }
    command(&["systemctl", "daemon-reload"], "").map_err(failed)?;
    command(&["systemctl", "--no-block", "try-restart", "tsh-agent.service"], "").map(drop).map_err(failed)
}

/// A folder in which somebody else has something stays.
fn remove_empty(folder: Option<&Path>) {
    if let Some(folder) = folder
        && let Err(error) = fs::remove_dir(folder)
        && !matches!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::NotFound)
    {
        say::err(&format!("warning: {}: {error}\n", folder.display()));
    }
}

/// A process whose folder or program is in a release.
fn runs_from_releases(app: &App) -> Option<u32> {
    let releases = paths::releases(app);
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let is_in =
            |what: &str| fs::read_link(format!("/proc/{pid}/{what}")).is_ok_and(|path| path.starts_with(&releases));
        is_in("cwd") || is_in("exe") || is_in("root")
    })
}
