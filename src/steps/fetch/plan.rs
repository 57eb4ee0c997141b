//! Finds out what a commit would bring: commits, packages and migrations, read out of the repository and nothing run.
//!
//! It has a mirror of its own. git is no place for two writers: a fetch that met the other's lock would take its mirror
//! for damaged, and somebody who only asks must never be felt by a deployment.

mod locks;
mod scripts;
mod tree;

use git2::{Commit, ErrorCode, Oid, Repository, Sort};

use super::{NOTICE, Plan, Trouble, resolve, tidy, too_long};
use crate::config::Settings;
use crate::model::journal::{Cause, Output};
use crate::model::names::{SchemaRevision, Sha, Wanted};
use crate::model::plan::{self, Commits, Compared};
use crate::model::request::Work;
use crate::paths;
use crate::steps::files::on;
use crate::steps::output::say;
use crate::steps::{Job, Outcome, blocking, not_mine};
use tree::Tree;

/// Commits that are told; of more, only how many.
const TOLD: usize = 100;

/// Fetches into its own mirror, and compares.
pub async fn run(job: &Job) -> Outcome {
    let Work::Plan { wanted, against, current } = &job.request.work else { return Err(not_mine()) };
    let timeout = job.settings.source.timeout;
    let plan = Plan::aside(job, job.at(&paths::fetched(&job.settings.app)).join("plan"));
    let question = Question {
        settings: job.settings.clone(),
        wanted: wanted.as_ref().map_or_else(|| job.settings.source.branch.clone(), ToString::to_string),
        against: against.clone(),
        current: current.clone(),
    };
    let work = blocking(move || {
        std::fs::create_dir_all(&plan.home).map_err(on(&plan.home))?;
        plan.in_mirror(|mirror| question.answer(mirror))
    });
    let outcome = tokio::time::timeout(timeout + NOTICE, work).await;
    outcome.unwrap_or_else(|_| Err(too_long(timeout))).map(|found| Output::Compared(Box::new(found)))
}

/// What is asked.
struct Question {
    settings: Settings,
    wanted: String,
    against: Option<Wanted>,
    /// Revisions the database is at; `None`: nobody knows, or it does not matter.
    current: Option<Vec<SchemaRevision>>,
}

impl Question {
    fn answer(&self, mirror: &Repository) -> Result<Compared, Trouble> {
        let to = resolve::commit(mirror, &self.wanted)?;
        let from = match &self.against {
            Some(against) => known(mirror, against)?,
            None => None,
        };
        let told = |commit: &Commit<'_>| told(mirror, commit.id());
        let settings = &self.settings.build;
        let now = Tree::of(mirror, &to, &settings.workdir)?;
        let before = from.as_ref().map(|from| Tree::of(mirror, from, &settings.workdir)).transpose()?;
        let compared = Compared {
            new: only(mirror, &to, from.as_ref())?,
            gone: match &from {
                Some(from) => only(mirror, from, Some(&to))?,
                None => Commits::default(),
            },
            packages: locks::compare(&settings.lock, before.as_ref(), &now),
            migrations: match &self.settings.database {
                Some(database) => {
                    scripts::compare(&database.migrations, before.as_ref(), &now, self.current.as_deref())
                }
                None => plan::Migrations::default(),
            },
            from: from.as_ref().map(told).transpose()?,
            to: told(&to)?,
        };
        say(&format!("{} {}: {} new commits", compared.to.revision.short(), compared.to.subject, compared.new.count));
        Ok(compared)
    }
}

/// What it is compared with. A whole commit is that commit, whatever branch may be called so; the repository may have
/// lost it.
fn known<'a>(mirror: &'a Repository, against: &Wanted) -> Result<Option<Commit<'a>>, Trouble> {
    if against.as_str().parse::<Sha>().is_err() {
        return resolve::commit(mirror, against.as_str()).map(Some);
    }
    match mirror.find_commit(Oid::from_str(against.as_str())?) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The commits that `of` has and `without` has not; none where there is nothing to compare with.
fn only(mirror: &Repository, of: &Commit<'_>, without: Option<&Commit<'_>>) -> Result<Commits, Trouble> {
    let Some(without) = without else { return Ok(Commits::default()) };
    let mut walk = mirror.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    walk.push(of.id())?;
    walk.hide(without.id())?;
    let mut found = Commits::default();
    for id in walk {
        let id = id?;
        found.count += 1;
        if found.newest.len() < TOLD {
            found.newest.push(told(mirror, id)?);
        }
    }
    Ok(found)
}

fn told(mirror: &Repository, id: Oid) -> Result<plan::Commit, Trouble> {
    let commit = mirror.find_commit(id)?;
    let revision = id.to_string().parse().map_err(|_| Cause::new("only SHA-1 repositories are supported"))?;
    Ok(plan::Commit {
        revision,
        subject: tidy(commit.summary_bytes().unwrap_or_default()),
        author: tidy(commit.author().name_bytes()),
        at: commit.time().seconds().saturating_mul(1000),
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
