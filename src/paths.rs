//! Where everything is. The units, the policies and `init` name the same places.

use std::path::PathBuf;

use crate::model::names::{App, ReleaseId};
use crate::model::slot::Slot;

/// Root's configuration.
pub const CONFIG: &str = "/etc/tsh-agent";
/// The core's state.
pub const STATE: &str = "/var/lib/tsh-agent";
/// Requests to the steps; the core's, readable for all.
pub const RUN: &str = "/run/tsh-agent";
/// Output of the steps; root's, so that nobody can plant a link in it.
pub const LOG: &str = "/var/log/tsh-agent";
/// Backups.
pub const BACKUPS: &str = "/var/backups/tsh-agent";

/// Numbers for a monitoring system, in the text format of Prometheus; node_exporter follows a link to it.
pub const METRICS: &str = "/run/tsh-agent/metrics.prom";

/// Where PostgreSQL's files lie, on Debian and Ubuntu.
pub const CLUSTERS: &str = "/var/lib/postgresql";

/// `/etc/tsh-agent/apps/<app>.toml`.
#[must_use]
pub fn settings(app: &App) -> PathBuf {
    format!("{CONFIG}/apps/{app}.toml").into()
}

/// `/etc/tsh-agent/apps/<app>.env`: the environment of the application, root's alone.
#[must_use]
pub fn environment(app: &App) -> PathBuf {
    format!("{CONFIG}/apps/{app}.env").into()
}

/// `/var/backups/tsh-agent/<app>`.
#[must_use]
pub fn backups(app: &App) -> PathBuf {
    format!("{BACKUPS}/{app}").into()
}

/// `/srv/<app>`.
#[must_use]
pub fn home(app: &App) -> PathBuf {
    format!("/srv/{app}").into()
}

/// `/srv/<app>/releases`.
#[must_use]
pub fn releases(app: &App) -> PathBuf {
    home(app).join("releases")
}

/// `/srv/<app>/releases/<id>`.
#[must_use]
pub fn release(app: &App, id: ReleaseId) -> PathBuf {
    releases(app).join(id.to_string())
}

/// `/srv/<app>/links`: the link to the live release and the door.
#[must_use]
pub fn links(app: &App) -> PathBuf {
    home(app).join("links")
}

/// The door: nginx answers 503 while this file exists.
#[must_use]
pub fn door(app: &App) -> PathBuf {
    links(app).join("closed")
}

/// The door for people: nginx answers 503 while this file exists, too. Another file than [`door`], so that no deployment
/// can open what a person closed.
#[must_use]
pub fn maintenance(app: &App) -> PathBuf {
    links(app).join("maintenance")
}

/// The slot that accepts requests: the launchers in the slots watch this file. Gone after a boot, which starts the first
/// slot only.
#[must_use]
pub fn serving(app: &App) -> PathBuf {
    format!("{RUN}/{app}/serving").into()
}

/// The private way into a slot, its launcher's and its user's alone.
#[must_use]
pub fn way_in(app: &App, slot: Slot) -> PathBuf {
    format!("/run/{app}-{}/private.sock", slot.word()).into()
}

/// What a step is asked to do. Each kind has its own, for a backup may be proven while a deployment runs. A notice has
/// words in it, so it lies where only its own step may read it.
#[must_use]
pub fn request(app: &App, kind: &str) -> PathBuf {
    match kind {
        "notify" => format!("/run/tsh-agent-notify/{app}.json").into(),
        _ => format!("{RUN}/{app}/{kind}.json").into(),
    }
}

/// Scratch clusters and proofs; the prove step's.
#[must_use]
pub fn rehearsals(app: &App) -> PathBuf {
    format!("/var/lib/tsh-agent-rehearse/{app}").into()
}

/// What was proven about each backup; the prover writes here and nowhere else.
#[must_use]
pub fn proofs(app: &App) -> PathBuf {
    rehearsals(app).join("proofs")
}

/// What is known of backups elsewhere, and uploads that were begun; the offsite step's.
#[must_use]
pub fn offsite(app: &App) -> PathBuf {
    format!("/var/lib/tsh-agent-offsite/{app}").into()
}

/// What the running step says, and at the end its report.
#[must_use]
pub fn output(app: &App, kind: &str) -> PathBuf {
    format!("{LOG}/{app}-{kind}.log").into()
}

/// The mirror and the exported trees; the fetch step's.
#[must_use]
pub fn fetched(app: &App) -> PathBuf {
    format!("/var/lib/tsh-agent-fetch/{app}").into()
}

/// The tree of one commit as the fetch step exports it.
#[must_use]
pub fn exported(app: &App, revision: &crate::model::names::Sha) -> PathBuf {
    fetched(app).join("trees").join(revision.as_str())
}

/// The commits that are new against what runs, as the fetch step exports them.
#[must_use]
pub fn commits(app: &App) -> PathBuf {
    fetched(app).join("commits")
}

/// The build's work area; the build itself sees it as `/srv/<app>/releases`.
#[must_use]
pub fn built(app: &App) -> PathBuf {
    format!("/var/lib/tsh-agent-build/{app}").into()
}
