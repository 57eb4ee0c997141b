//! Fetches: brings a bare mirror up to date, resolves what is wanted to one commit, and exports that commit's tree.
//! The mirror is a cache: where anything is wrong with it, it is made anew.

pub mod ask;
mod commits;
mod export;
mod known_hosts;
pub mod plan;
mod remote;
mod resolve;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use git2::{ErrorClass, Repository};

use super::files::{self, on};
use super::output::say;
use super::{Job, Outcome, blocking, not_mine};
use crate::config::Source;
use crate::model::journal::{Cause, Fetched, Output};
use crate::model::names::{Sha, Wanted};
use crate::model::request::Work;
use crate::paths;

/// Time beyond the deadline for libgit2 to notice it by itself; then the step ends without it.
const NOTICE: Duration = Duration::from_secs(1);

/// Fetches, resolves and exports.
pub async fn run(job: &Job) -> Outcome {
    let Work::Fetch { wanted, on_branch, running } = &job.request.work else { return Err(not_mine()) };
    let timeout = job.settings.source.timeout;
    let area = job.at(&paths::fetched(&job.settings.app));
    let plan = Plan {
        source: job.settings.source.clone(),
        key: deploy_key(&job.settings.source),
        wanted: wanted.clone(),
        on_branch: *on_branch,
        running: running.clone(),
        deadline: Instant::now() + timeout,
        mirror: area.join("mirror.git"),
        home: area.join("home"),
        trees: area.join("trees"),
        commits: job.at(&paths::commits(&job.settings.app)),
        signed: job.settings.gates.signature.is_some(),
    };
    let fetch = blocking(move || plan.run());
    let outcome = tokio::time::timeout(timeout + NOTICE, fetch).await;
    outcome.unwrap_or_else(|_| Err(too_long(timeout))).map(Output::Fetched)
}

/// The key comes as a credential, so that root's file stays root's.
fn deploy_key(source: &Source) -> Option<PathBuf> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join("deploy-key"));
    credential.filter(|path| path.exists()).or_else(|| source.key.clone())
}

/// What is fetched from where to where.
struct Plan {
    source: Source,
    key: Option<PathBuf>,
    wanted: Option<Wanted>,
    /// Whether it must be part of the branch.
    on_branch: bool,
    running: Option<Sha>,
    deadline: Instant,
    mirror: PathBuf,
    home: PathBuf,
    trees: PathBuf,
    commits: PathBuf,
    /// Whether signatures will be looked at.
    signed: bool,
}

/// Why it does not go on.
enum Trouble {
    /// Somebody has to change something.
    Final(Cause),
    /// The mirror may be damaged: worth one more attempt with a new one.
    Mirror(git2::Error),
}

impl From<git2::Error> for Trouble {
    fn from(error: git2::Error) -> Self {
        Self::Mirror(error)
    }
}

impl From<Cause> for Trouble {
    fn from(cause: Cause) -> Self {
        Self::Final(cause)
    }
}

impl Plan {
    /// One that exports nothing and works in a folder of its own, beside what a fetch may be doing at the same time.
    fn aside(job: &Job, area: PathBuf) -> Self {
        let source = job.settings.source.clone();
        Self {
            key: deploy_key(&source),
            wanted: None,
            on_branch: false,
            running: None,
            deadline: Instant::now() + source.timeout,
            mirror: area.join("mirror.git"),
            home: area.join("home"),
            trees: area.join("none"),
            commits: area.join("none"),
            signed: false,
            source,
        }
    }

    fn run(&self) -> Result<Fetched, Cause> {
        self.in_mirror(|mirror| self.take(mirror))
    }

    /// Brings the mirror up to date and works in it. One that is damaged is made anew, once.
    fn in_mirror<T>(&self, work: impl Fn(&Repository) -> Result<T, Trouble>) -> Result<T, Cause> {
        remote::set_options(&self.home)?;
        let hosts = remote::trusted_hosts(&self.source, &self.home)?;
        let had_mirror = self.mirror.exists();
        let attempt = || {
            let mirror = self.open_mirror()?;
            remote::update(&mirror, self, &hosts)?;
            work(&mirror)
        };
        match attempt() {
            Ok(done) => Ok(done),
            Err(Trouble::Final(cause)) => Err(cause),
            Err(Trouble::Mirror(error)) if had_mirror && !is_full(&error) => {
                say(&format!("the mirror is damaged ({}): making a new one", error.message()));
                files::remove(&self.mirror)?;
                attempt().map_err(|trouble| self.give_up(trouble))
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn give_up(&self, trouble: Trouble) -> Cause {
        match trouble {
            Trouble::Final(cause) => cause,
            Trouble::Mirror(error) if is_full(&error) => {
                Cause::new(format!("{}: {}", self.mirror.display(), error.message()))
                    .hint("make room on this file system")
            }
            Trouble::Mirror(error) => {
                Cause::new(format!("git cannot work in {}: {}", self.mirror.display(), error.message()))
            }
        }
    }

    fn take(&self, mirror: &Repository) -> Result<Fetched, Trouble> {
        let commit = resolve::commit(mirror, self.wanted.as_ref().map_or(self.source.branch.as_str(), Wanted::as_str))?;
        if self.on_branch {
            resolve::part_of(mirror, &commit, self.wanted.as_ref().map(Wanted::as_str), &self.source.branch)?;
        }
        let revision: Sha =
            commit.id().to_string().parse().map_err(|_| Cause::new("only SHA-1 repositories are supported"))?;
        let fetched = Fetched {
            subject: tidy(commit.summary_bytes().unwrap_or_default()),
            author: tidy(commit.author().name_bytes()),
            descends: self.descends(mirror, &commit)?,
            revision,
        };
        export::export(mirror, &commit, &fetched.revision, &self.trees)?;
        if self.signed {
            commits::export(mirror, &commit, self.running.as_ref(), &self.commits)?;
        }
        say(&format!("{} {} ({})", fetched.revision.short(), fetched.subject, fetched.author));
        Ok(fetched)
    }

    /// Whether the commit has the one that runs among its ancestors; nobody knows if the repository has lost that one.
    fn descends(&self, mirror: &Repository, commit: &git2::Commit<'_>) -> Result<Option<bool>, git2::Error> {
        let Some(running) = &self.running else { return Ok(None) };
        let running = git2::Oid::from_str(running.as_str())?;
        match mirror.find_commit(running) {
            Ok(_) => Ok(Some(commit.id() == running || mirror.graph_descendant_of(commit.id(), running)?)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_mirror(&self) -> Result<Repository, Trouble> {
        if !self.mirror.exists() {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().mode(0o700).create(&self.mirror).map_err(on(&self.mirror))?;
            return Ok(Repository::init_bare(&self.mirror)?);
        }
        // Packs that were being received when an earlier step was killed.
        let packs = self.mirror.join("objects/pack");
        for name in files::names(&packs)?.iter().filter(|name| name.to_string_lossy().starts_with("pack_git2")) {
            files::remove(&packs.join(name))?;
        }
        Ok(Repository::open_bare(&self.mirror)?)
    }
}

/// Whether a local operation failed because the disk is full, which a new mirror would not cure.
fn is_full(error: &git2::Error) -> bool {
    error.class() == ErrorClass::Os && error.message().contains("No space left")
}

/// The cause of a fetch that took too long.
fn too_long(timeout: Duration) -> Cause {
    Cause::new(format!("the fetch took longer than {} s", timeout.as_secs_f32()))
        .hint("is the server slow, or the repository large? `source.timeout` says how long a fetch may take")
}

/// One line of text from a commit, fit for any terminal.
fn tidy(text: &[u8]) -> String {
    super::child::plain(&String::from_utf8_lossy(text)).chars().take(200).collect()
}

#[cfg(test)]
mod ssh_tests;
#[cfg(test)]
mod tests;
