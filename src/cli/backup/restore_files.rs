//! `tsh-agent backup restore-files`: needs no agent, so that it works where nothing else does.

use std::path::PathBuf;

use crate::cli::{Failure, say};
use crate::config;
use crate::model::names::{App, BackupName};
use crate::model::outcome::Exit;
use crate::paths;
use crate::steps::folders::give_back;

/// Names of files that are told one by one.
const TOLD: usize = 20;

/// Give the files of a backup back, into a new folder.
///
/// What is live is not touched: compare, and copy by hand what is wanted. Needs root, or whoever may read backups.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup.
    name: BackupName,
    /// Only this file or folder, as in uploads/2026; all of them if none is named.
    path: Option<PathBuf>,
    /// The folder to make; if it is there, it must be empty.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let app = match &args.app {
        Some(app) => app.clone(),
        None => {
            let apps = config::apps().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
            super::which::only(apps)?
        }
    };
    let home = paths::backups(&app);
    let only = args.path.clone().unwrap_or_default();
    let given = give_back(&home, &home.join(args.name.as_str()), &only, &args.to).map_err(|cause| {
        let mut failure = Failure::new(Exit::Untouched, cause.what).now("what is live is as it was");
        failure.hint = cause.hint;
        failure
    })?;
    let to = args.to.display();
    if given.files == 0 && given.lost.is_empty() {
        let what = format!("backup {} has no file at or below {}", args.name, only.display());
        return Err(Failure::new(Exit::Untouched, what).hint("paths begin with the folder, as in uploads/2026"));
    }
    say::out(&format!("{} files, {} kB, are in {to}\n", given.files, given.bytes / 1000));
    if given.lost.is_empty() {
        return Ok(Exit::Good);
    }
    for lost in given.lost.iter().take(TOLD) {
        say::err(&format!("lost: {lost}\n"));
    }
    let what = format!("{} files could not be given back whole", given.lost.len());
    Err(Failure::new(Exit::Untouched, what)
        .now(format!("everything else is in {to}"))
        .hint("another backup may have them: `tsh-agent backup list`"))
}
