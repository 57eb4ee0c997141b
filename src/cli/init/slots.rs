//! What `init` does for an application behind a socket.

use super::{InitError, made, tell, warn};
use crate::config::Settings;
use crate::host::files;
use crate::init::machine::{Change, Failure, run as command};
use crate::init::slots;
use crate::model::slot::Slot;

/// What runs at boot behind the socket, and the slots' links where something is live already. Starting them is left to
/// the first deployment, or to whoever moves the application here from a unit of its own.
pub fn enable(settings: &Settings) -> Result<(), InitError> {
    let app = &settings.app;
    let Some(first) = settings.slot(Slot::A) else { return Ok(()) };
    let units = [slots::socket_unit(app), first.to_string()];
    let is = |what: &str, unit: &str| command(&["systemctl", "--quiet", what, unit], "").is_ok();
    let enabled = units.iter().all(|unit| is("is-enabled", unit));
    if !enabled {
        command(&["systemctl", "--quiet", "enable", &units[0], &units[1]], "")?;
    }
    tell(made(!enabled), &format!("{} and {} start at boot", units[0], units[1]));
    let failed = |error: std::io::Error| Failure::new(crate::paths::links(app).display().to_string(), error);
    let live = files::link(app).map_err(failed)?;
    for link in settings.links() {
        if live.is_some() && files::link_of(app, link).map_err(failed)?.is_none() {
            files::point(app, link, live).map_err(failed)?;
            tell(Change::Made, &format!("{}/{}", crate::paths::links(app).display(), link.word()));
        }
    }
    if live.is_some() && !is("is-active", &units[0]) {
        warn(&format!(
            "{} does not listen yet: stop the unit that has {} now, then systemctl start {}",
            units[0],
            settings.service.serve.listen.map(|at| at.to_string()).unwrap_or_default(),
            units[1]
        ));
    }
    Ok(())
}
