//! The command line: a verb a file. The comment on a verb's arguments is its help.

mod abort;
mod adopt;
mod approve;
mod audit;
mod backup;
mod check;
mod config;
mod core;
mod deploy;
mod diff;
mod failure;
mod follow;
mod forgive;
mod freeze;
mod generate;
mod groups;
mod history;
mod init;
mod journal;
mod key;
mod lock;
mod logs;
mod maintenance;
mod metrics;
mod pin;
mod plan;
mod push_hint;
mod recover;
mod reject;
pub mod render;
mod restore;
mod resume;
mod rollback;
pub mod say;
mod show;
mod status;
mod step;
pub mod terminal;
mod unfreeze;
mod unlock;
mod unpin;
mod watch;
mod webhook;
mod where_now;
mod which;

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::model::outcome::Exit;

/// Makes a new revision live on this server, and never leaves the server worse than it found it.
#[derive(Debug, Parser)]
#[command(name = "tsh-agent", version, max_term_width = 100, after_help = EXITS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "\
Exit codes:
  0  deployed and verified, or nothing to do
  1  failed before production was touched
  2  wrong usage or configuration
  3  failed, rolled back and verified
  4  needs an operator
  5  another deployment is running
  6  refused
  8  the result is not known (yet): detached, or the agent went away
  9  aborted and rolled back";

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Args),
    Diff(diff::Args),
    Deploy(deploy::Args),
    Rollback(rollback::Args),
    Status(status::Args),
    History(history::Args),
    Show(show::Args),
    Logs(logs::Args),
    Watch(watch::Args),
    Abort(abort::Args),
    Where(where_now::Args),
    Lock(lock::Args),
    Unlock(unlock::Args),
    Freeze(freeze::Args),
    Unfreeze(unfreeze::Args),
    Maintenance(maintenance::Args),
    Resume(resume::Args),
    Forgive(forgive::Args),
    Approve(approve::Args),
    Reject(reject::Args),
    Pin(pin::Args),
    Unpin(unpin::Args),
    Audit(audit::Args),
    Backup(backup::Args),
    Metrics(metrics::Args),
    Check(check::Args),
    Config(config::Args),
    Init(init::Args),
    Adopt(adopt::Args),
    PushHint(push_hint::Args),
    Webhook(webhook::Args),
    Key(key::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    #[command(hide = true)]
    Core(core::Args),
    #[command(hide = true)]
    Recover(recover::Args),
    #[command(hide = true)]
    Step(step::Args),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// With what the person has to know.
    pub fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Plan(args) => wait(plan::run(args)),
            Command::Diff(args) => wait(diff::run(args)),
            Command::Deploy(args) => wait(deploy::run(args)),
            Command::Rollback(args) => wait(rollback::run(args)),
            Command::Status(args) => wait(status::run(args)),
            Command::History(args) => wait(history::run(args)),
            Command::Show(args) => wait(show::run(args)),
            Command::Logs(args) => wait(logs::run(args)),
            Command::Watch(args) => wait(watch::run(args)),
            Command::Abort(args) => wait(abort::run(args)),
            Command::Where(args) => wait(where_now::run(args)),
            Command::Lock(args) => wait(lock::run(args)),
            Command::Unlock(args) => wait(unlock::run(args)),
            Command::Freeze(args) => wait(freeze::run(args)),
            Command::Unfreeze(args) => wait(unfreeze::run(args)),
            Command::Maintenance(args) => wait(maintenance::run(args)),
            Command::Resume(args) => wait(resume::run(args)),
            Command::Forgive(args) => wait(forgive::run(args)),
            Command::Approve(args) => wait(approve::run(args)),
            Command::Reject(args) => wait(reject::run(args)),
            Command::Pin(args) => wait(pin::run(args)),
            Command::Unpin(args) => wait(unpin::run(args)),
            Command::Audit(args) => wait(audit::run(args)),
            Command::Backup(args) => wait(backup::run(args)),
            Command::Metrics(args) => wait(metrics::run(args)),
            Command::Check(args) => wait(check::run(args)),
            Command::Config(args) => config::run(args),
            Command::Init(args) => {
                init::run(&args).map_err(|error| Failure::new(error.exit(), crate::host::chain(&error)))
            }
            Command::Adopt(args) => wait(adopt::run(args)),
            Command::PushHint(args) => wait(push_hint::run(args)),
            Command::Webhook(args) => wait(webhook::run(args)),
            Command::Key(args) => wait(key::run(args)),
            Command::Generate(args) => generate::run(&args),
            Command::Core(args) => wait(core::run(args)),
            Command::Recover(args) => wait(recover::run(args)),
            Command::Step(args) => wait(step::run(args)),
        }
    }
}

/// One thread is enough to wait.
fn wait(verb: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Untouched, format!("the program cannot start: {error}")))?.block_on(verb)
}

/// A view for programs.
fn say_json(view: &impl serde::Serialize) -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(view)
        .map_err(|error| Failure::new(Exit::Untouched, format!("the view cannot be written as JSON: {error}")))?;
    say::out(&(text + "\n"));
    Ok(Exit::Good)
}

#[cfg(test)]
mod shapes_tests;
#[cfg(test)]
mod tests;
