//! `tsh-agent adopt PATH`: takes over an application that runs in place, while it runs; `--undo` puts all back.

mod effects;

use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::init::ask::{self, Said};
use super::{Failure, say};
use crate::config;
use crate::init::adopt::record::Record;
use crate::init::adopt::survey::survey;
use crate::init::inspect;
use crate::init::shown::Shown;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Take over an application that runs from a checkout, as root, while it runs
///
/// The tree becomes the first sealed release, its path a link to the live release; what the application writes moves to
/// the shared folders, its environment becomes root's, and a drop-in lets its units start from the live release. No
/// process is restarted. A run that was cut off goes on when it is called again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The checkout.
    #[arg(value_parser = ask::checkout, required_unless_present = "undo")]
    path: Option<PathBuf>,
    /// The application; by default it is named after its web unit.
    #[arg(long)]
    app: Option<App>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Put everything back as it was.
    #[arg(long, conflicts_with_all = ["path", "dry_run"])]
    undo: bool,
    /// A folder in the checkout that the application writes; those with usual names are found.
    #[arg(long = "state")]
    state: Vec<String>,
    #[command(flatten)]
    said: Said,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if !Uid::effective().is_root() {
        return Err(usage("adopt changes the system and needs root").hint("`sudo tsh-agent adopt PATH`"));
    }
    match &args.path {
        Some(path) if !args.undo => forward(&args, path).await,
        _ => back(&args).await,
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, what.into())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Untouched, error.to_string())
}

async fn forward(args: &Args, path: &Path) -> Result<Exit, Failure> {
    let app = match &args.app {
        Some(app) => app.clone(),
        None => named_after_its_unit(path)?,
    };
    let record = match Record::read(&app).map_err(failed)? {
        Some(record) if record.undoing => {
            return Err(
                usage(format!("{app} is being put back")).hint("`sudo tsh-agent adopt --undo` goes on with that")
            );
        }
        Some(record) => record,
        None => plan(args, &app, path)?,
    };
    if args.dry_run {
        for effect in &record.effects {
            say::out(&format!("would {}\n", effect.words(&app)));
        }
        return Ok(Exit::Good);
    }
    effects::make(record).await?;
    say::out(&format!("{app} is adopted: its next start, and its next deployment, is from the live release\n"));
    say::out(&format!("  tsh-agent check --app {app}\n  tsh-agent deploy --app {app}\n"));
    Ok(Exit::Good)
}

fn plan(args: &Args, app: &App, path: &Path) -> Result<Record, Failure> {
    let mut found = inspect::look(app, Some(path));
    for folder in &args.state {
        if !path.join(folder).is_dir()
            || Path::new(folder).components().any(|part| !matches!(part, std::path::Component::Normal(_)))
        {
            return Err(usage(format!("--state {folder}: there is no such folder in {}", path.display())));
        }
        if !found.state.contains(folder) {
            found.state.push(folder.clone());
        }
    }
    let known = ask::settle(app, &found, &args.said).map_err(|error| Failure::new(error.exit(), error.to_string()))?;
    let (record, warnings) = survey(app, path, &found, &known).map_err(usage)?;
    for warning in warnings {
        say::out(&format!("{:<11} {warning}\n", "warning"));
    }
    Ok(record)
}

/// The application is called what its web unit is called.
fn named_after_its_unit(path: &Path) -> Result<App, Failure> {
    let runs = |unit: &Shown| {
        unit.folder().is_some_and(|folder| folder.starts_with(path))
            || unit.programs().any(|program| Path::new(program).starts_with(path))
    };
    let units: Vec<Shown> = Shown::all().into_iter().filter(runs).collect();
    let shortest = units.iter().filter_map(|unit| unit.name.strip_suffix(".service")).min_by_key(|name| name.len());
    // It was adopted, or begun to be: then the units may not run from there any more.
    let recorded = || {
        config::apps()
            .unwrap_or_default()
            .into_iter()
            .find(|app| Record::read(app).is_ok_and(|record| record.is_some()))
    };
    match shortest {
        Some(name) => {
            name.parse().map_err(|_| usage(format!("{name} cannot be the name of an application")).hint("`--app NAME`"))
        }
        None => recorded().ok_or_else(|| {
            usage(format!("no unit of systemd runs from {}", path.display()))
                .hint("`--app NAME`, where its units are called NAME")
        }),
    }
}

async fn back(args: &Args) -> Result<Exit, Failure> {
    let app = match &args.app {
        Some(app) => app.clone(),
        None => super::which::only(Record::all().map_err(failed)?)?,
    };
    let Some(record) = Record::read(&app).map_err(failed)? else {
        return Err(usage(format!("{app} was not adopted")));
    };
    effects::unmake(record).await
}
