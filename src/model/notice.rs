//! Notices: what is told outside about a deployment, in the words of the journal and the history.

use serde::{Deserialize, Serialize};

use super::names::{App, DeploymentId, NoticeName, ReleaseId, Sha};
use super::outcome::Verdict;
use super::step::Step;
use super::view::HistoryRow;

/// After so many equal failures in a row nobody is told of the next one until something changes.
pub const EQUAL: usize = 3;
/// The first pause before a notice that could not be sent is tried again, in milliseconds.
const FIRST_PAUSE: i64 = 5_000;
/// The longest one, in milliseconds.
const LONGEST_PAUSE: i64 = 30 * 60_000;

/// A moment of a deployment that somebody may want to hear of. The stored words are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// It was accepted.
    Accepted,
    /// Its revision became known; only a forge, which has a place for it at each commit, is told.
    Fetched,
    /// It ended.
    #[serde(untagged)]
    Ended(Verdict),
}

impl Moment {
    /// The moments that a person may choose.
    pub const CHOICE: [(&'static str, Self); 8] = [
        ("accepted", Self::Accepted),
        ("deployed", Self::Ended(Verdict::Deployed)),
        ("failed", Self::Ended(Verdict::Failed)),
        ("rolled-back", Self::Ended(Verdict::RolledBack)),
        ("aborted", Self::Ended(Verdict::Aborted)),
        ("refused", Self::Ended(Verdict::Refused)),
        ("superseded", Self::Ended(Verdict::Superseded)),
        ("needs-operator", Self::Ended(Verdict::NeedsOperator)),
    ];

    /// The word people read, and which is stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Fetched => "fetched",
            Self::Ended(verdict) => verdict.word(),
        }
    }

    /// The moment of a stored word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let all = Self::CHOICE.into_iter().map(|(_, moment)| moment).chain([Self::Fetched]);
        all.into_iter().find(|moment| moment.word() == word)
    }

    /// The sentence that the journal has about it as well.
    #[must_use]
    pub fn sentence(self, id: DeploymentId, app: &App, by: &str) -> String {
        match self {
            Self::Accepted => format!("deployment {id} of {app} accepted from {by}"),
            Self::Fetched => format!("deployment {id} of {app} runs"),
            Self::Ended(verdict) => format!("deployment {id} of {app} {}", verdict.word()),
        }
    }
}

/// All that a notice says. It is only sent: nothing in it decides anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The moment.
    pub moment: Moment,
    /// "deploy" or "rollback".
    pub kind: String,
    /// The commit, once it is known.
    pub revision: Option<Sha>,
    /// Its first line.
    pub subject: Option<String>,
    /// The release that is made live.
    pub release: ReleaseId,
    /// The one before.
    pub from: Option<ReleaseId>,
    /// Who asked.
    pub by: String,
    /// When it happened, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// How long the deployment took, in milliseconds, once it has ended.
    pub took: Option<i64>,
    /// The step that failed.
    pub step: Option<Step>,
    /// Why.
    pub cause: Option<String>,
    /// What serves now, once it has ended.
    pub serving: Option<String>,
    /// More to say about the end.
    pub note: Option<String>,
    /// It is the last of some equal failures that is told.
    pub last_equal: bool,
}

/// How far one notice about one moment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Which.
    pub notice: NoticeName,
    /// "waiting", "sent", "given-up", or "dropped" where something newer took its place.
    pub state: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, in milliseconds since 1970 (UTC).
    pub due: i64,
    /// Why the last try failed.
    pub problem: Option<String>,
}

impl Delivery {
    /// One that was never tried.
    #[must_use]
    pub fn new(notice: NoticeName, now: i64) -> Self {
        Self { notice, state: "waiting".to_owned(), tries: 0, due: now, problem: None }
    }

    /// Whether it is still to be sent.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state == "waiting"
    }

    /// It was sent.
    pub fn sent(&mut self) {
        (self.state, self.tries, self.problem) = ("sent".to_owned(), self.tries + 1, None);
    }

    /// It was not sent: again after a pause that grows, until `give_up` milliseconds after `since`.
    pub fn failed(&mut self, problem: String, now: i64, since: i64, give_up: i64) {
        let pause = FIRST_PAUSE.saturating_mul(3_i64.saturating_pow(self.tries)).min(LONGEST_PAUSE);
        self.tries += 1;
        self.problem = Some(problem);
        self.due = now + pause;
        if self.due > since + give_up {
            "given-up".clone_into(&mut self.state);
        }
    }
}

/// A moment with its deliveries, as the interface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// The word of the moment.
    pub moment: String,
    /// One for each notice; empty until somebody has looked who is to be told.
    pub deliveries: Vec<Delivery>,
}

/// How many deployments in a row, this one among them, ended equally badly at the same revision. `before` are those that
/// ended before it, newest first.
#[must_use]
pub fn equal(verdict: Verdict, revision: Option<&Sha>, before: &[HistoryRow]) -> usize {
    let bad = matches!(verdict, Verdict::Failed | Verdict::RolledBack);
    let same = |row: &&HistoryRow| bad && row.state == verdict.word() && row.revision.as_ref() == revision;
    1 + before.iter().take_while(same).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_word_is_read_back() {
        for moment in [Moment::Accepted, Moment::Fetched].into_iter().chain(Verdict::ALL.map(Moment::Ended)) {
            assert_eq!(Moment::of(moment.word()), Some(moment));
            assert_eq!(serde_json::to_value(moment).unwrap(), moment.word());
            assert_eq!(serde_json::from_value::<Moment>(moment.word().into()).unwrap(), moment);
        }
        assert_eq!(Moment::of("running"), None);
        for verdict in Verdict::ALL {
            assert!(Moment::CHOICE.contains(&(verdict.word(), Moment::Ended(verdict))));
        }
    }

    #[test]
    fn the_pauses_grow_to_half_an_hour_and_end_after_a_day() {
        let day = 86_400_000;
        let mut delivery = Delivery::new("chat".parse().unwrap(), 1_000);
        let mut pauses = Vec::new();
        let mut now = 1_000;
        while delivery.is_waiting() {
            delivery.failed("down".to_owned(), now, 1_000, day);
            pauses.push((delivery.due - now) / 1000);
            now = delivery.due;
        }
        assert_eq!(pauses[..7], [5, 15, 45, 135, 405, 1215, 1800]);
        assert_eq!((delivery.state.as_str(), delivery.tries), ("given-up", 53));
        assert!(now - 1_000 > day && now - 1_000 <= day + LONGEST_PAUSE, "{now}");
    }

    #[test]
    fn equal_failures_are_counted_until_something_changes() {
        let row = |state: &str, revision: Option<&str>| HistoryRow {
            id: DeploymentId(1),
            app: "erp".parse().unwrap(),
            kind: "deploy".into(),
            state: state.into(),
            revision: revision.map(|digit| digit.repeat(40).parse().unwrap()),
            subject: None,
            release: ReleaseId(1),
            by: "poll".into(),
            trigger: crate::model::trigger::Trigger::Poll,
            accepted: 0,
            ended: Some(1),
            pinned: false,
        };
        let a: Sha = "a".repeat(40).parse().unwrap();
        let failed = [row("failed", Some("a")), row("failed", Some("a")), row("failed", Some("b"))];
        assert_eq!(equal(Verdict::Failed, Some(&a), &failed), 3);
        assert_eq!(equal(Verdict::RolledBack, Some(&a), &failed), 1);
        assert_eq!(equal(Verdict::Failed, None, &failed), 1);
        // A remote that is gone has no revision.
        assert_eq!(equal(Verdict::Failed, None, &[row("failed", None), row("deployed", Some("a"))]), 2);
        // What needs an operator, and what is good, is always told.
        assert_eq!(equal(Verdict::NeedsOperator, None, &[row("needs-operator", None)]), 1);
        assert_eq!(equal(Verdict::Deployed, Some(&a), &[row("deployed", Some("a"))]), 1);
    }
}
