//! What the step units run: `tsh-agent step <kind> <app>`. Each kind is a file; each has its own user and sandbox.

pub mod advance;
pub mod backup;
pub mod build;
pub mod child;
pub mod fetch;
pub mod files;
pub mod folders;
pub mod gates;
pub mod gauge;
pub mod inspect;
pub mod links;
pub mod manifest;
pub mod migrate;
pub mod notify;
pub mod objects;
pub mod offsite;
pub mod output;
pub mod postgres;
pub mod probe;
pub mod prove;
pub mod prune;
pub mod rehearse;
pub mod restore;
mod run;
pub mod seal;
pub mod sealed;
#[cfg(test)]
mod testing;
pub mod tool;

pub use run::run;

use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::model::journal::{Cause, Output};
use crate::model::request::Request;

/// What a step has to work with.
pub struct Job {
    /// Root's configuration of the application.
    pub settings: Settings,
    /// What the core asks for.
    pub request: Request,
    /// Where the file system begins: `/`, or a folder in tests.
    pub root: PathBuf,
    /// Where systemd puts what it hands over to this step alone.
    pub credentials: Option<PathBuf>,
}

/// What comes of a step.
pub type Outcome = Result<Output, Cause>;

impl Job {
    /// A job on this machine.
    #[must_use]
    pub fn new(settings: Settings, request: Request) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { settings, request, root: PathBuf::from("/"), credentials }
    }

    /// Where an absolute path is for this job.
    #[must_use]
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// The cause of a request that asks a step for another step's work.
#[must_use]
pub fn not_mine() -> Cause {
    Cause::new("bad request: this is another step's work")
}

/// Runs `work` in a thread of its own, so that the deadline of the step holds whatever the thread is waiting for:
/// unlike tokio's blocking threads, nobody waits for this one when the program ends.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Cause> + Send + 'static) -> Result<T, Cause> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let span = tracing::Span::current();
    std::thread::Builder::new()
        .name("step".to_owned())
        .spawn(move || {
            // Nobody listens any more after the deadline.
            send.send(span.in_scope(work)).ok();
        })
        .map_err(|error| Cause::new(format!("cannot start a thread: {error}")))?;
    receive.await.unwrap_or_else(|_| Err(Cause::new("the step ended without a result: this is a fault of tsh-agent")))
}
