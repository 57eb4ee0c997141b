//! `tsh-agent check`: looks at everything a deployment stands on. Reads only, and says what it could not look at.
//!
//! A file a subject; in each, rules are functions of values, and what asks the machine is beside them. What only the
//! core's user can see comes from the core.

mod agent;
mod certificates;
mod files;
mod key;
mod memory;
mod outside;
mod pooler;
mod probes;
mod rights;
mod space;
mod units;

pub use outside::polkit;

use nix::unistd::{Uid, User};

use super::{Failure, render, say, say_json, terminal};
use crate::api::Refusal;
use crate::api::client::Error;
use crate::config::{self, Settings};
use crate::init::shown::Shown;
use crate::init::{Facts, door};
use crate::model::finding::{Finding, Level};
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::paths;

/// Look at everything that a deployment needs, and name what mends it. Changes nothing.
///
/// Root sees most; an operator is told what was not checked. Exit code 1 if something is bad; warnings leave it 0.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let app = which(args.app)?;
    let findings = look(&app).await;
    if args.json {
        say_json(&findings)?;
    } else {
        say::out(&render::check::check(&app, &findings, &terminal::look(&std::io::stdout())));
    }
    Ok(if findings.iter().any(|found| found.level == Level::Bad) { Exit::Untouched } else { Exit::Good })
}

/// The core may be down, so the configuration itself is asked.
fn which(named: Option<App>) -> Result<App, Failure> {
    let usage = |error: config::ConfigError| Failure::new(Exit::Usage, error.to_string());
    let apps = config::apps();
    match named {
        // The name of another application's file does not matter to this one.
        Some(app) if paths::settings(&app).exists() => Ok(app),
        Some(app) => Err(Error::Refused(Refusal::unknown_app(&app, &apps.map_err(usage)?)).into()),
        None => super::which::only(apps.map_err(usage)?),
    }
}

/// Who looks, and so what can be seen.
struct Me {
    root: bool,
    name: String,
}

impl Me {
    fn now() -> Self {
        let uid = Uid::effective();
        let user = User::from_uid(uid).ok().flatten();
        Self { root: uid.is_root(), name: user.map_or_else(|| format!("uid {uid}"), |user| user.name) }
    }
}

async fn look(app: &App) -> Vec<Finding> {
    let me = Me::now();
    let mut found = Vec::new();
    let settings = match config::load(app) {
        Ok(settings) => settings,
        Err(error) => {
            let file = error.file.display();
            found.push(Finding::bad("configuration", error.to_string()).mend(format!("sudoedit {file}")));
            found.extend(agent::own_units());
            found.push(Finding::not_checked("everything else", "it follows from the configuration"));
            return found;
        }
    };
    found.push(Finding::ok("configuration", format!("{} is valid", paths::settings(app).display())));
    let (core, from_core) = agent::core(app).await;
    found.extend(from_core);
    found.extend(agent::own_units());
    found.extend(agent::may_operate(&me));
    let shown = units::shown(&settings);
    found.extend(units::look(&settings, &shown, core.should_be_up));
    found.extend(memory::look(&shown));
    found.extend(user(&settings));
    found.extend(files::environments(&settings, &units::environments(&shown)));
    if let Some(facts) = facts(&settings, &shown) {
        found.extend(files::folders(&settings, &facts));
        found.extend(files::written(&settings, &facts));
    }
    found.extend(files::credentials(&settings, &me));
    found.extend(pooler::look(&settings, &me));
    found.extend(key::look(&settings, &me));
    found.extend(rights::look(&settings, &me));
    found.extend(certificates::look(&me));
    found.extend(outside::look(&settings, &me).await);
    found.extend(outside::behind(core.last, jiff::Timestamp::now().as_millisecond()));
    found.extend(space::look(&settings));
    found.extend(probes::look(&settings, &me, &core).await);
    found
}

fn user(settings: &Settings) -> Option<Finding> {
    let name = &settings.service.user;
    let is_there = User::from_name(name).ok().flatten().is_some();
    (!is_there).then(|| {
        Finding::bad("user", format!("there is no user {name}, as whom the application runs"))
            .mend(format!("sudo useradd --system --user-group {name}"))
    })
}

/// What the settings do not say, and `init` has looked up.
fn facts(settings: &Settings, shown: &[Shown]) -> Option<Facts> {
    let user = User::from_name(&settings.service.user).ok().flatten()?;
    let group = nix::unistd::Group::from_gid(user.gid).ok().flatten()?;
    let unit_group = shown.iter().map(|unit| unit.value("Group")).find(|group| !group.is_empty());
    Some(Facts { group: group.name, unit_group: unit_group.map(str::to_owned), nginx: door::has_nginx() })
}
