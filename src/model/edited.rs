//! Migrations that have run here and whose files are others now: what was edited will never run, and the next server
//! will not be what this one is.

use super::journal::{Inspected, Journal, Output, Restored, Script};
use super::names::Sha;
use super::outcome::Verdict;
use super::step::Step;

/// A migration whose file was changed after it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its file as it is now.
    pub script: Script,
    /// The commit with the text that ran, where that is known.
    pub ran: Option<Sha>,
}

/// The first one, oldest first. `earlier` are journals of the same application, the newest first: the last one that
/// left the database as its release wants it knows the text of all that has run.
#[must_use]
pub fn first(now: &Inspected, earlier: &[Journal]) -> Option<Edited> {
    let reference = earlier.iter().find(|journal| left_migrated(journal))?;
    let known = &reference.inspected()?.scripts;
    let pending = |script: &Script| now.pending.iter().any(|pending| pending.revision == script.revision);
    let other = |script: &&Script| {
        let ran = known.iter().find(|ran| ran.revision == script.revision);
        !pending(script) && ran.is_some_and(|ran| ran.sha256 != script.sha256)
    };
    let script = now.scripts.iter().find(other)?.clone();
    let ran = reference.fetched().map(|fetched| fetched.revision.clone());
    Some(Edited { script, ran: ran.or_else(|| reference.order()?.revision.clone()) })
}

/// Whether all migrations of its release have run and stayed.
fn left_migrated(journal: &Journal) -> bool {
    let ahead = matches!(journal.output(Step::Restore), Some(Output::Restored(Restored::Ahead { .. })));
    let inspected = journal.inspected().is_some_and(|inspected| !inspected.scripts.is_empty());
    inspected && (ahead || journal.verdict() == Some(Verdict::Deployed))
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Entry, Fact, Fetched, Pending};
    use super::super::lane::Lane;
    use super::*;

    fn inspected(scripts: &[(&str, &str)], pending: &[&str]) -> Inspected {
        let script = |(revision, sha256): &(&str, &str)| Script {
            revision: revision.parse().unwrap(),
            file: format!("versions/{revision}.py"),
            sha256: (*sha256).to_owned(),
        };
        let pend =
            |name: &&str| Pending { revision: name.parse().unwrap(), title: String::new(), nontransactional: false };
        Inspected {
            scripts: scripts.iter().map(script).collect(),
            pending: pending.iter().map(pend).collect(),
            ..Inspected::nothing(Lane::Code)
        }
    }

    fn ended(scripts: &[(&str, &str)], verdict: Verdict, restored: Option<Restored>) -> Journal {
        let entry = |fact| Entry { at: 0, boot: String::new(), fact };
        let done = |step, out| entry(Fact::Done { step, out });
        let revision = "c".repeat(40).parse().unwrap();
        let fetched = Fetched { revision, subject: String::new(), author: String::new(), descends: None };
        let mut entries = vec![
            done(Step::Fetch, Output::Fetched(fetched)),
            done(Step::Inspect, Output::Inspected(inspected(scripts, &[]))),
        ];
        entries.extend(restored.map(|restored| done(Step::Restore, Output::Restored(restored))));
        entries.push(entry(Fact::Ended { verdict, note: None }));
        Journal(entries)
    }

    #[test]
    fn what_has_run_must_not_change() {
        let before = [ended(&[("a", "1"), ("b", "2")], Verdict::Deployed, None)];
        assert_eq!(first(&inspected(&[("a", "1"), ("b", "2"), ("c", "3")], &["c"]), &before), None);
        let edited = first(&inspected(&[("a", "1"), ("b", "9")], &[]), &before).unwrap();
        assert_eq!((edited.script.file.as_str(), edited.ran.unwrap().short()), ("versions/b.py", "cccccccc"));
        assert_eq!(first(&inspected(&[("a", "1"), ("b", "9")], &["b"]), &before), None, "it runs only now");
        assert_eq!(first(&inspected(&[("a", "9")], &[]), &[]), None, "nothing is known");
    }

    #[test]
    fn what_was_taken_back_may_change_and_what_stayed_may_not() {
        let now = inspected(&[("a", "1"), ("b", "9")], &[]);
        let good = ended(&[("a", "1")], Verdict::Deployed, None);
        let back = |restored| ended(&[("a", "1"), ("b", "2")], Verdict::RolledBack, Some(restored));
        let swapped = back(Restored::SwappedBack { quarantine: String::new() });
        assert_eq!(first(&now, &[swapped, good.clone()]), None);
        let ahead = back(Restored::Ahead { revisions: vec![] });
        assert!(first(&now, &[ahead, good]).is_some());
    }
}
