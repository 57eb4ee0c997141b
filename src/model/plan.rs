//! What a revision would bring, against what runs or against another one: what was found in the repository, and what
//! follows from it. Nothing of it is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::expect::Expected;
use super::gates::Answer;
use super::journal::{Fact, Journal};
use super::lane::Lane;
use super::names::{App, DeploymentId, ReleaseId, SchemaRevision, Sha};
use super::step::Step;

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name.
    pub revision: Sha,
    /// Its first line.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// When it was committed, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// Some commits, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commits {
    /// How many there are.
    pub count: usize,
    /// The newest of them.
    pub newest: Vec<Commit>,
}

/// What the repository says about two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The one that is asked about.
    pub to: Commit,
    /// What it is compared with; `None` where there is nothing, or the repository does not have it.
    pub from: Option<Commit>,
    /// Commits that `to` has and `from` has not.
    pub new: Commits,
    /// Commits that `from` has and `to` has not.
    pub gone: Commits,
    /// What is installed.
    pub packages: Packages,
    /// The migrations.
    pub migrations: Migrations,
}

/// How what is installed differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// The file that says what is installed, as the settings choose it; `None` where there is none.
    pub file: Option<String>,
    /// The file that says so on the other side, if it is another one.
    pub before: Option<String>,
    /// Whether anything in these files differs, a version or not.
    pub touched: bool,
    /// The packages that differ, by name.
    pub changes: Vec<Change>,
    /// How many are not pinned to one version: the build takes what is newest then.
    pub loose: usize,
    /// Why it cannot be known without building.
    pub unknown: Option<String>,
}

/// One package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its version before; `None`: it is new.
    pub old: Option<String>,
    /// Its version after; `None`: it goes.
    pub new: Option<String>,
}

/// The packages that differ between two lists of name and version.
#[must_use]
pub fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = |name: &&String| old.get(*name) != new.get(*name);
    let change =
        |name: &String| Change { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() };
    names.into_iter().filter(differs).map(change).collect()
}

/// The file of a migration, read and not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Its revision.
    pub revision: SchemaRevision,
    /// The first words of its description.
    pub title: String,
    /// Its file, in the working directory.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal, as the inspection has it.
    pub sha256: String,
}

/// The migrations of a commit, as far as their files tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrations {
    /// Those that have not run on the database, oldest first.
    pub pending: Vec<Migration>,
    /// Why it cannot be known which are pending.
    pub unknown: Option<String>,
    /// Why the inspection would refuse them.
    pub trouble: Option<String>,
    /// Those that the other commit does not have.
    pub added: Vec<Migration>,
    /// Those that only the other commit has.
    pub removed: Vec<Migration>,
    /// Those that both have, with another text each.
    pub edited: Vec<Migration>,
}

/// What a rehearsal of exactly the pending migrations has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The deployment that rehearsed them.
    pub deployment: DeploymentId,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// The way through production that followed; `None` where the rehearsal failed.
    pub lane: Option<Lane>,
    /// How long the migrations took there, in milliseconds.
    pub took: Option<u64>,
    /// How long production was to stand still, in milliseconds.
    pub window: Option<u64>,
    /// What spoke against going online, or why the rehearsal failed.
    pub against: Vec<String>,
}

/// The last rehearsal of exactly these migrations, text for text. `journals` are the newest first.
#[must_use]
pub fn rehearsed(journals: &[(DeploymentId, Journal)], pending: &[Migration]) -> Option<Rehearsed> {
    if pending.is_empty() {
        return None;
    }
    journals.iter().filter(|(_, journal)| is_about(journal, pending)).find_map(|(id, journal)| {
        journal.0.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Failed { step: Step::Rehearse, cause } => Some(Rehearsed {
                deployment: *id,
                at: entry.at,
                lane: None,
                took: None,
                window: None,
                against: vec![cause.what.clone()],
            }),
            Fact::Done { step: Step::Rehearse, .. } => journal.rehearsed().map(|found| Rehearsed {
                deployment: *id,
                at: entry.at,
                lane: Some(found.lane),
                took: Some(found.migration.took),
                window: found.window.map(|window| window.predicted),
                against: found.against.clone(),
            }),
            _ => None,
        })
    })
}

/// Whether exactly these migrations were pending in a deployment.
fn is_about(journal: &Journal, pending: &[Migration]) -> bool {
    let Some(inspected) = journal.inspected() else { return false };
    let same = |wanted: &Migration| {
        let text = inspected.scripts.iter().find(|script| script.revision == wanted.revision);
        text.is_some_and(|script| script.sha256 == wanted.sha256)
    };
    inspected.pending.iter().map(|one| &one.revision).eq(pending.iter().map(|one| &one.revision))
        && pending.iter().all(same)
}

/// What is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The release.
    pub release: ReleaseId,
    /// Its commit, where that is known.
    pub revision: Option<Sha>,
    /// Whether it was verified; one that was not is deployed again.
    pub verified: bool,
}

/// What a deployment would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// The application.
    pub app: App,
    /// What was asked for, as a person reads it.
    pub wanted: String,
    /// What runs now; `None`: nothing does.
    pub live: Option<Live>,
    /// What the repository says about it and what runs.
    pub compared: Compared,
    /// Whether the application has a database that a deployment cares for.
    pub database: bool,
    /// Revisions of the live database, where its tool has names for them.
    pub schema: Vec<String>,
    /// The way through production; `None` where it cannot be known.
    pub lane: Option<Lane>,
    /// What may still change about that, in one sentence.
    pub lane_note: String,
    /// What a rehearsal of exactly these migrations has found.
    pub rehearsal: Option<Rehearsed>,
    /// What it takes as a rule.
    pub expected: Expected,
    /// What every gate would answer a person now.
    pub gates: Vec<Answer>,
    /// Releases of this commit that are kept on the server.
    pub kept: Vec<ReleaseId>,
    /// The deployment that is open now.
    pub open: Option<DeploymentId>,
    /// What becomes of it if it fails, and what a rollback does afterwards, a sentence each.
    pub rollback: Vec<String>,
}

impl PlanView {
    /// Whether a deployment would do nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let live = self.live.as_ref().filter(|live| live.verified);
        live.is_some_and(|live| live.revision.as_ref() == Some(&self.compared.to.revision))
    }
}

/// What the settings say about pending migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// They take the weak lane.
    pub stop: bool,
    /// They never go online.
    pub fenced: bool,
    /// They are rehearsed.
    pub rehearse: bool,
}

/// The way through production, and what may still change about it.
#[must_use]
pub fn lane(found: &Migrations, rule: Rule, rehearsal: Option<&Rehearsed>) -> (Option<Lane>, String) {
    let why = |words: &str| words.to_owned();
    match (&found.unknown, found.pending.is_empty()) {
        (Some(_), _) => (None, why("the inspection tells, when the release is built")),
        (None, true) => (Some(Lane::Code), why("no migration is pending")),
        (None, false) if rule.stop => (Some(Lane::Stop), why("the settings say so")),
        (None, false) if rule.fenced || !rule.rehearse => (Some(Lane::Fenced), why("the settings say so")),
        (None, false) => match rehearsal.and_then(|known| known.lane) {
            Some(lane) => (Some(lane), why("as it was rehearsed; it is rehearsed again")),
            None => (Some(Lane::Fenced), why("online if the rehearsal finds nothing against it")),
        },
    }
}

/// What becomes of it if it fails, and what `rollback` does afterwards.
#[must_use]
pub fn rollback(live: Option<&Live>, lane: Option<Lane>) -> Vec<String> {
    let Some(live) = live else {
        return vec!["no release is live that could be gone back to: what fails is stopped".to_owned()];
    };
    let old = match &live.revision {
        Some(revision) => format!("release {} ({})", live.release, revision.short()),
        None => format!("release {}", live.release),
    };
    let fails = match lane {
        None => format!("if it fails: back to {old}; what becomes of the database depends on the lane"),
        Some(Lane::Code) => format!("if it fails: back to {old}; the database is not touched"),
        Some(Lane::Online) => {
            format!("if it fails: back to {old}; the schema stays ahead, where that was proven (case 1)")
        }
        Some(Lane::Fenced) => {
            format!("if it fails before the door opens: back to {old}, and to the database as it was (case 2)")
        }
        Some(Lane::Stop) => {
            format!("if it fails after the migration: a person decides, for there is no twin (case 3); before: {old}")
        }
    };
    let later = match lane {
        Some(Lane::Code) => "afterwards: `tsh-agent rollback` does the same, as long as no migration has run",
        Some(Lane::Online) => "afterwards: `tsh-agent rollback` moves the code, and leaves the schema ahead",
        Some(Lane::Fenced | Lane::Stop) | None => {
            "afterwards: `tsh-agent rollback` goes back only over a schema that the old release was proven on"
        }
    };
    vec![fails, later.to_owned()]
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
