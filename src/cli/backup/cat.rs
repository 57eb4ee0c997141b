//! `tsh-agent backup cat`: what is in a backup, for other programs. It needs no agent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::cli::Failure;
use crate::model::backup::Manifest;
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName};
use crate::model::outcome::Exit;
use crate::paths;
use crate::steps::backup::{DUMP, GLOBALS, MANIFEST};
use crate::steps::files::on;
use crate::steps::prove::checksum;
use crate::steps::sealed::Keys;

/// Write a backup's dump to standard output, decrypted and decompressed, as pg_restore reads it.
///
/// For a server that has nothing else: `tsh-agent backup cat --globals NAME | psql postgres`, then
/// `tsh-agent backup cat NAME | pg_restore --exit-on-error -d DATABASE`. What is on the disk is checked first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup.
    name: BackupName,
    /// The roles and what is bound to the database, as SQL, in place of the dump.
    #[arg(long)]
    globals: bool,
    /// The identity that opens it; the server's own if none is named.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let app = super::local_app(args.app.as_ref())?;
    let keys = super::keys(&app, args.identity.as_deref())?;
    write(args, &app, &keys).map_err(super::untouched)?;
    Ok(Exit::Good)
}

fn write(args: &Args, app: &App, keys: &Keys) -> Result<(), Cause> {
    let folder = paths::backups(app).join(args.name.as_str());
    let path = folder.join(MANIFEST);
    let text = File::open(&path).map_err(on(&path))?;
    let manifest: Manifest = serde_json::from_reader(text).map_err(|error| on(&path)(error.into()))?;
    let (name, file) = if args.globals { (GLOBALS, &manifest.globals) } else { (DUMP, &manifest.dump) };
    let path = folder.join(manifest.named(name));
    checksum(&path, file)?;
    let mut from: Box<dyn Read> = if args.globals {
        keys.open(&path).map_err(on(&path))?
    } else {
        Box::new(keys.decompressed(&path).map_err(on(&path))?)
    };
    let mut out = io::stdout().lock();
    let copied = io::copy(&mut from, &mut out).and_then(|bytes| out.flush().map(|()| bytes));
    let bytes = copied.map_err(on(&path))?;
    if !args.globals && bytes != manifest.raw_bytes {
        return Err(Cause::new(format!(
            "{} has {bytes} bytes inside in place of {}",
            path.display(),
            manifest.raw_bytes
        )));
    }
    Ok(())
}
