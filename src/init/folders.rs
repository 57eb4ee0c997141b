//! The folders of an application, each with one owner.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Facts, Generated, heading, plain};
use crate::config::{Service, Settings};
use crate::model::names::App;
use crate::paths;

/// A folder, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// Its user.
    pub owner: String,
    /// Its group.
    pub group: String,
}

/// Every folder of the application. Nobody can write in another's: the build not in releases, the core not in code,
/// the application only in its state.
#[must_use]
pub fn folders(settings: &Settings, facts: &Facts) -> Vec<Folder> {
    let app = &settings.app;
    let folder = |path: PathBuf, mode: u32, owner: &str, group: &str| Folder {
        path,
        mode,
        owner: owner.to_owned(),
        group: group.to_owned(),
    };
    let shared = paths::home(app).join("shared");
    let mut all = vec![
        folder(paths::home(app), 0o755, "root", "root"),
        folder(paths::releases(app), 0o755, "tsh-agent-release", "tsh-agent-release"),
        folder(paths::links(app), 0o755, "tsh-agent", "tsh-agent"),
        folder(shared.clone(), 0o755, "root", "root"),
    ];
    let user = &settings.service.user;
    let Service { state, public, .. } = &settings.service;
    let mode = |state: &String| if public.contains(state) { 0o755 } else { 0o750 };
    all.extend(state.iter().map(|state| folder(shared.join(state), mode(state), user, &facts.group)));
    if settings.database.is_some() {
        // The prover's; its proofs are the core's to read.
        all.push(folder(paths::rehearsals(app), 0o750, "tsh-agent-rehearse", "tsh-agent"));
        // With the group's bit, so that each proof is the core's to read.
        all.push(folder(paths::proofs(app), 0o2750, "tsh-agent-rehearse", "tsh-agent"));
    }
    if settings.offsite.is_some() {
        let own = paths::offsite(app);
        let sent = own.join("sent");
        all.push(folder(own, 0o755, "tsh-agent-offsite", "tsh-agent-offsite"));
        // With the group's bit, so that each note is the core's to read.
        all.push(folder(sent, 0o2750, "tsh-agent-offsite", "tsh-agent"));
    }
    if settings.service.socket().is_some() {
        // Which slot serves is told here, also before the core has started.
        all.push(folder(PathBuf::from(paths::RUN), 0o755, "tsh-agent", "tsh-agent"));
        all.push(folder(super::slots::run_folder(app), 0o755, "tsh-agent", "tsh-agent"));
    }
    all.extend([
        folder(paths::fetched(app), 0o755, "tsh-agent-fetch", "tsh-agent-fetch"),
        folder(paths::built(app), 0o755, "tsh-agent-build", "tsh-agent-build"),
        folder(backups(app), 0o750, "tsh-agent", "tsh-agent-rehearse"),
    ]);
    all
}

/// The table for systemd-tmpfiles, which makes them now and again should one be missing at boot.
#[must_use]
pub fn table(settings: &Settings, facts: &Facts) -> Generated {
    let app = &settings.app;
    let mut text = heading("#", app);
    for folder in folders(settings, facts) {
        let path = quoted(&folder.path.to_string_lossy());
        let _ = writeln!(text, "d {path} {:04o} {} {}", folder.mode, folder.owner, folder.group);
    }
    let current = current(app);
    let _ = writeln!(text, "# For people and units; the core moves the link behind it.");
    let _ = writeln!(text, "L {} - - - - links/current", current.display());
    Generated::new(table_path(app), text)
}

/// Where the table stands.
#[must_use]
pub fn table_path(app: &App) -> PathBuf {
    format!("/etc/tmpfiles.d/tsh-agent-{app}.conf").into()
}

/// `/srv/<app>/current`.
#[must_use]
pub fn current(app: &App) -> PathBuf {
    paths::home(app).join("current")
}

fn backups(app: &App) -> PathBuf {
    PathBuf::from(paths::BACKUPS).join(app.as_str())
}

/// A path as one word of a line of systemd-tmpfiles.
fn quoted(path: &str) -> String {
    let path = plain(path);
    if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-%".contains(&b)) {
        return path;
    }
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted("/srv/a-b/shared/x.y"), "/srv/a-b/shared/x.y");
        assert_eq!(quoted("/srv/a/100% \"x\" \\"), r#""/srv/a/100%% \"x\" \\""#);
    }
}
