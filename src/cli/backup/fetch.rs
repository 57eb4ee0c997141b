//! `tsh-agent backup fetch`: from the store back to this server. It needs no agent.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setuid};

use crate::cli::{Failure, say};
use crate::config;
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName};
use crate::model::outcome::Exit;
use crate::paths;
use crate::steps::offsite::{Store, bring};

/// Whose backups are, and who may read them.
const OWNER: &str = "tsh-agent";
const READERS: &str = "tsh-agent-rehearse";

/// Bring a backup back from the store that [offsite] names, as root.
///
/// For a server that has nothing else: `tsh-agent backup verify`, `restore` and `restore-files` work on it then. What was
/// brought is compared with what was sent; called again, it goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup; the newest there if none is named.
    name: Option<BackupName>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: &Args) -> Result<Exit, Failure> {
    if !Uid::effective().is_root() {
        let what = "the credentials of the store are root's: sudo tsh-agent backup fetch";
        return Err(Failure::new(Exit::Usage, what));
    }
    let app = super::local_app(args.app.as_ref())?;
    let settings = config::load(&app).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let none = || Failure::new(Exit::Usage, format!("{app} has no [offsite], so there is no store to ask"));
    let offsite = settings.offsite.as_ref().ok_or_else(none)?;
    let home = paths::backups(&app);
    let store = Store::new(offsite, &offsite.credentials, &home).map_err(super::untouched)?;
    step_down().map_err(super::untouched)?;
    let brought = bring(&store, &app, &home, args.name.as_ref()).await.map_err(super::untouched)?;
    say::out(&if brought.before {
        format!("backup {} is here already\n", brought.name)
    } else {
        format!("backup {} is here, as it was sent; {} objects came with it\n", brought.name, brought.objects)
    });
    say::out(&format!("`tsh-agent backup verify {}` proves it\n", brought.name));
    Ok(Exit::Good)
}

/// Goes on as the user whose the backups are: what comes from elsewhere is not written by root.
fn step_down() -> Result<(), Cause> {
    let missing = || Cause::new(format!("there is no user {OWNER}: install tsh-agent first"));
    let user = User::from_name(OWNER).ok().flatten().ok_or_else(missing)?;
    let group = Group::from_name(READERS).ok().flatten().ok_or_else(missing)?;
    let cannot = |error: nix::Error| Cause::new(format!("cannot go on as {OWNER}: {error}"));
    let name = CString::new(user.name.as_bytes()).map_err(|_| missing())?;
    let become_them = |gid: Gid, uid: Uid| initgroups(&name, gid).and_then(|()| setgid(gid)).and_then(|()| setuid(uid));
    become_them(group.gid, user.uid).map_err(cannot)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    // Where root stood may be closed to others.
    std::env::set_current_dir("/").map_err(|error| Cause::new(format!("/: {error}")))
}
