//! Backups elsewhere: which are to be carried there, and who is told when that does not succeed.

use crate::config::Settings;
use crate::events::Event;
use crate::host::backups;
use crate::model::backup::BackupView;
use crate::model::care::Care;
use crate::model::finding::Finding;
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName};
use crate::model::offsite::overdue;

/// Whole backups that are not off-site, oldest first; `None` if there are none.
pub(super) fn unsent(app: &App) -> Result<Option<Vec<BackupName>>, Cause> {
    let all = backups::all(app).map_err(|error| Cause::new(format!("the backups cannot be read: {error}")))?;
    let waits = |view: &BackupView| view.row.level.is_some() && view.row.problem.is_none() && view.sent.is_none();
    let mut names: Vec<BackupName> = all.into_iter().filter(waits).map(|view| view.row.name).collect();
    names.reverse();
    Ok(Some(names).filter(|names| !names.is_empty()))
}

/// Tells that a care has come to a good end, and what of it must wait.
pub(super) fn tell(app: &App, id: u32, care: &Care) {
    let (words, backup) = (care.kind.words(), care.backup.as_ref().map(BackupName::as_str).unwrap_or_default());
    match care.late() {
        Some(late) => tracing::warn!(
            tsh_app = %app, tsh_step = late.part.word(), message_id = Event::OffsiteLate.id(),
            "backups of {app} are not all off-site: {}", late.detail
        ),
        None => tracing::info!(tsh_app = %app, "{words} {id} of {app} {backup} is done"),
    }
}

/// Whether backups get away from this server.
pub(super) fn check(settings: &Settings, now: i64) -> Option<Finding> {
    settings.offsite.as_ref()?;
    let mend = format!("tsh-agent backup push --app {}", settings.app);
    let all = match backups::all(&settings.app) {
        Ok(all) => all,
        Err(error) => return Some(Finding::warning("offsite", format!("the backups cannot be read: {error}"))),
    };
    let whole = all.iter().filter(|view| view.row.problem.is_none());
    let times: Vec<(i64, bool)> = whole.filter_map(|view| Some((view.row.at?, view.sent.is_some()))).collect();
    Some(match overdue(&times, now) {
        Some(what) => Finding::warning("offsite", what).mend(mend),
        None => Finding::ok("offsite", "no backup waits for too long to be carried off-site"),
    })
}
