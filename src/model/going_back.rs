//! A rollback that a person asks for, before it is done: which case it is for the database, and why. The words are those
//! that the rollback itself tells afterwards.

use serde::{Deserialize, Serialize};

use super::journal::{Cause, Inspected};
use super::names::{App, DeploymentId, ReleaseId, SchemaRevision, Sha, words};
use super::plan::Live;

/// What a rollback would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackView {
    /// The application.
    pub app: App,
    /// What runs now; `None`: nothing does.
    pub live: Option<Live>,
    /// The release that would run.
    pub release: ReleaseId,
    /// Its commit, where that is known.
    pub revision: Option<Sha>,
    /// Revisions of the live database, where its tool has names for them; or why they cannot be read.
    pub schema: Result<Vec<SchemaRevision>, String>,
    /// The case by which is decided what becomes of the database; `None`: the inspection tells.
    pub case: Option<u8>,
    /// What becomes of the database, in one sentence.
    pub database: String,
    /// Why, in one sentence.
    pub because: String,
    /// What would be lost, in one sentence.
    pub lost: String,
    /// Why it would be refused, and what to do about that.
    pub refused: Option<(String, String)>,
    /// The deployment that is open now.
    pub open: Option<DeploymentId>,
}

/// What is known about a release and the database before anybody looks closer.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The release.
    pub release: ReleaseId,
    /// Whether the application has a database that a deployment cares for.
    pub database: bool,
    /// Whether the tool of its migrations has names for revisions.
    pub named: bool,
    /// Revisions of the live database, or why they cannot be read.
    pub schema: &'a Result<Vec<SchemaRevision>, String>,
    /// What was found out about the release when it was built.
    pub built: Option<&'a Inspected>,
    /// Whether a rehearsal has proven its commit on the schema as it is.
    pub proven: bool,
}

/// What becomes of the database when a kept release is made live.
#[derive(Debug, Clone, PartialEq)]
pub enum Outlook {
    /// Case 0: nothing, for the reason that is told.
    Unchanged(String),
    /// Case 1: the release does not know the schema, and was proven on it.
    Ahead(String),
    /// Case 3: it is refused.
    Refused(Cause),
    /// Only a look at the release tells, for the reason that is told.
    Unknown(String),
}

/// Decides from what is recorded. The inspection has the last word.
#[must_use]
pub fn outlook(known: &Known<'_>) -> Outlook {
    let release = known.release;
    if !known.database {
        return Outlook::Unchanged("the application has none that is cared for".to_owned());
    }
    let schema = match known.schema {
        Ok(schema) => schema,
        Err(why) => return Outlook::Unknown(format!("the database cannot be asked: {why}")),
    };
    if !known.named {
        return Outlook::Unknown("the migrations' tool has no names for a schema".to_owned());
    }
    let at = words(schema);
    // One that was ahead when it was built did not know the schema then.
    let knew = known.built.filter(|built| !built.ahead);
    if knew.is_some_and(|built| sorted(&built.target) == sorted(schema)) {
        return Outlook::Unchanged(format!("the schema is at {at}, where release {release} wants it"));
    }
    if known.proven {
        return Outlook::Ahead(format!("the schema is at {at}, which release {release} does not know"));
    }
    let Some(built) = knew.filter(|built| !built.scripts.is_empty()) else {
        return Outlook::Unknown(format!("nothing is recorded about the migrations of release {release}"));
    };
    let has = |revision: &SchemaRevision| built.scripts.iter().any(|script| script.revision == *revision);
    match schema.iter().find(|revision| !has(revision)) {
        Some(unknown) => Outlook::Refused(not_proven(Cause::new(format!(
            "the schema is at {unknown}, which release {release} does not know, and no rehearsal has proven it there"
        )))),
        None => {
            let wants = words(&built.target);
            let what = format!("the schema is at {at}, and release {release} wants migrations up to {wants}");
            Outlook::Refused(Cause::new(what).hint(NEVER_MIGRATES))
        }
    }
}

impl Outlook {
    /// The number of the case.
    #[must_use]
    pub fn case(&self) -> Option<u8> {
        match self {
            Self::Unchanged(_) => Some(0),
            Self::Ahead(_) => Some(1),
            Self::Refused(_) => Some(3),
            Self::Unknown(_) => None,
        }
    }

    /// What becomes of the database.
    #[must_use]
    pub fn database(&self, schema: &[SchemaRevision]) -> String {
        match self {
            Self::Unchanged(_) => stays(schema, false),
            Self::Ahead(_) => stays(schema, true),
            Self::Refused(_) => "nothing is moved: it is refused (case 3)".to_owned(),
            Self::Unknown(_) => "the inspection tells, before anything is stopped".to_owned(),
        }
    }

    /// Why.
    #[must_use]
    pub fn because(&self) -> &str {
        match self {
            Self::Unchanged(why) | Self::Ahead(why) | Self::Unknown(why) => why,
            Self::Refused(cause) => &cause.what,
        }
    }

    /// What would be lost.
    #[must_use]
    pub fn lost(&self) -> &'static str {
        match self {
            Self::Ahead(_) => "nothing: every row stays, also in columns that this release does not know",
            Self::Refused(_) => "nothing: what runs goes on",
            Self::Unchanged(_) | Self::Unknown(_) => "nothing: a rollback moves code, and every row stays",
        }
    }
}

/// What is told of a database on whose schema a kept release is live; `ahead`: which that release does not know.
#[must_use]
pub fn stays(schema: &[SchemaRevision], ahead: bool) -> String {
    if ahead {
        let at = words(schema);
        format!("stays at {at} (case 1): a rehearsal has proven this release on a schema it does not know")
    } else {
        "untouched (case 0): this release knows the schema as it is".to_owned()
    }
}

/// Old code on a schema that it was never tried on, which is not done by itself.
#[must_use]
pub fn not_proven(mut cause: Cause) -> Cause {
    let hint = "going back is not proven to be safe (case 3), so nothing was moved: mend forward with \
                `tsh-agent deploy REVISION`";
    cause.hint = Some(cause.hint.map_or_else(|| hint.to_owned(), |more| format!("{hint}; or {more}")));
    cause
}

/// What to do about a kept release whose migrations have not all run here.
pub const NEVER_MIGRATES: &str = "a rollback never migrates: `tsh-agent deploy` the revision instead";

fn sorted(revisions: &[SchemaRevision]) -> Vec<&SchemaRevision> {
    let mut sorted: Vec<_> = revisions.iter().collect();
    sorted.sort();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::Script;
    use crate::model::lane::Lane;

    fn revisions(words: &str) -> Vec<SchemaRevision> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    fn built(target: &str, scripts: &str) -> Inspected {
        let script = |revision| Script { revision, file: "m.py".into(), sha256: "0".repeat(64) };
        Inspected {
            target: revisions(target),
            scripts: revisions(scripts).into_iter().map(script).collect(),
            ..Inspected::nothing(Lane::Code)
        }
    }

    fn case(schema: &str, built: Option<&Inspected>, proven: bool) -> (Option<u8>, String) {
        let schema = Ok(revisions(schema));
        let known = Known { release: ReleaseId(4), database: true, named: true, schema: &schema, built, proven };
        let outlook = outlook(&known);
        (outlook.case(), outlook.because().to_owned())
    }

    #[test]
    fn the_case_follows_from_what_is_recorded() {
        let four = built("b a", "a b");
        assert_eq!(
            case("a b", Some(&four), false),
            (Some(0), "the schema is at a, b, where release 4 wants it".into())
        );
        assert_eq!(case("c", Some(&four), true), (Some(1), "the schema is at c, which release 4 does not know".into()));
        let (number, why) = case("c", Some(&four), false);
        assert_eq!((number, why.ends_with("no rehearsal has proven it there")), (Some(3), true), "{why}");
        let (number, why) = case("a", Some(&four), false);
        assert_eq!((number, why.ends_with("release 4 wants migrations up to b, a")), (Some(3), true), "{why}");
        assert_eq!(case("", Some(&built("", "")), false).0, Some(0), "a database without a migration");
    }

    #[test]
    fn what_is_not_recorded_is_not_guessed() {
        assert_eq!(case("a", None, false).0, None, "one that was taken over");
        assert_eq!(case("b", Some(&built("a", "")), false).0, None, "a record without files");
        let ahead = Inspected { ahead: true, ..built("c", "") };
        assert_eq!(case("c", Some(&ahead), true).0, Some(1), "it did not know the schema when it was built either");
        assert_eq!(case("c", Some(&ahead), false).0, None);
        let (down, none) = (Err("it is down".to_owned()), Ok(Vec::new()));
        let known =
            Known { release: ReleaseId(4), database: true, named: true, schema: &down, built: None, proven: false };
        assert_eq!(outlook(&known), Outlook::Unknown("the database cannot be asked: it is down".into()));
        assert_eq!(outlook(&Known { schema: &none, named: false, ..known }).case(), None);
        assert_eq!(outlook(&Known { database: false, ..known }).case(), Some(0));
    }
}
