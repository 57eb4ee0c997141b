//! `tsh-agent recover`: runs once at boot, before the applications' services, and makes sure that what they start is
//! verified. It changes nothing but the link, holds a service back where the database must be settled first, and
//! never stands in the way: on any doubt it says so and lets the machine come up.

use std::path::Path;
use std::time::Duration;

use super::{CoreError, boot_id};
use crate::events::Event;
use crate::host::files;
use crate::host::systemd::Systemd;
use crate::model::machine::{self, AtBoot};
use crate::model::names::{App, DeploymentId, ReleaseId};
use crate::model::slot::{Link, Slot};
use crate::paths;
use crate::store::Store;

/// Cancelling a start that is queued takes no time.
const HOLD: Duration = Duration::from_secs(2);

/// Settles the links of every application.
///
/// # Errors
/// If the state cannot be read; then nothing was changed.
pub async fn recover() -> Result<(), CoreError> {
    let boot = boot_id().ok_or(CoreError::Boot)?;
    let file = Path::new(paths::STATE).join("state.db");
    if !file.exists() {
        return Ok(());
    }
    let store = Store::open_to_read(&file).await?;
    for (app, id) in store.open_deployments().await? {
        let journal = store.journal(id).await?;
        match machine::at_boot(&journal, &boot, ReleaseId(id.0)) {
            None => {}
            Some(AtBoot::Link(to)) => point(&app, id, to),
            Some(AtBoot::Hold(to)) => {
                point(&app, id, to);
                hold(&app, id).await;
            }
        }
    }
    Ok(())
}

/// Points every link that is there: a boot starts the first slot, and an idle slot has the release that is live.
fn point(app: &App, id: DeploymentId, to: Option<ReleaseId>) {
    if to.is_some_and(|to| !files::has_release(app, to)) {
        return;
    }
    for link in [Link::Current, Link::Slot(Slot::A), Link::Slot(Slot::B)] {
        let now = files::link_of(app, link);
        if now.as_ref().is_ok_and(|now| *now == to || (now.is_none() && link != Link::Current)) {
            continue;
        }
        move_link(app, id, link, to);
    }
}

fn move_link(app: &App, id: DeploymentId, link: Link, to: Option<ReleaseId>) {
    let name = to.map_or_else(|| "no release".to_owned(), |to| format!("release {to}"));
    match files::point(app, link, to) {
        Ok(()) => tracing::warn!(
            tsh_app = %app, tsh_deployment = id.0, tsh_step = "", tsh_release = %to.map_or_else(|| "none".to_owned(), |to| to.to_string()), message_id = Event::RecoveredAtBoot.id(),
            "the machine went down during deployment {id} of {app}: it starts with {name}"
        ),
        Err(error) => tracing::error!(tsh_app = %app, tsh_deployment = id.0, "the link cannot be moved: {error}"),
    }
}

/// Keeps the services from starting on a database that is between two releases. The core starts them.
async fn hold(app: &App, id: DeploymentId) {
    let held = async {
        let settings = crate::config::load(app).map_err(|error| error.to_string())?;
        let bus = zbus::connection::Builder::system().build().await.map_err(|error| error.to_string())?;
        let systemd = Systemd::new(&bus).await.map_err(|error| error.to_string())?;
        if settings.service.socket().is_some() {
            // The socket may have a request already, which starts the unit again: then that waits.
            files::set_serving(app, None).map_err(|error| error.to_string())?;
        }
        for unit in settings.all_units() {
            systemd.end_run(unit.as_str(), HOLD).await.map_err(|cause| cause.what)?;
        }
        Ok::<(), String>(())
    };
    match held.await {
        Ok(()) => tracing::warn!(tsh_app = %app, tsh_deployment = id.0, "{app} waits until its database is settled"),
        Err(error) => {
            tracing::error!(tsh_app = %app, tsh_deployment = id.0, "{app} could not be held back: {error}");
        }
    }
}
