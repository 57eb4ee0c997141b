//! The audit: who did what, chained by hashes, so that a changed, removed or reordered entry shows.
//!
//! Each entry's hash covers the one before it. A chain alone cannot show that its end was cut off: for that the head is
//! written into the system's journal with each entry, where the core cannot take it back.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::names::{App, DeploymentId};

/// Who asked, as far as this machine can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user that the bus names; `None` where the agent did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The user who logged in, behind `sudo` and `su`: the owner of the session that logind has the process in. What a
    /// process says about itself, as `SUDO_UID`, is never asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// From where that session comes, where logind knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// The application.
    pub app: App,
    /// The deployment, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// Who, as a person reads it: a user, a webhook's sender, a key's name.
    pub by: String,
    /// Who, as the machine knows it.
    #[serde(default)]
    pub who: Who,
    /// The verb.
    pub what: String,
    /// More: a reason, what was asked for, which gates agreed and which were overridden.
    pub detail: String,
}

/// An entry as it is stored: the text that was hashed, to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; they begin at 1 and none is left out.
    pub seq: i64,
    /// The record, as JSON.
    pub record: String,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// A number and a hash: all that has to be known of a chain to tell whether its end is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// What is wrong with a chain, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// The hash of an entry behind `before`, which is empty for the first.
#[must_use]
pub fn seal(before: &str, seq: i64, record: &str) -> String {
    let hash = Sha256::digest(format!("{before}\n{seq}\n{record}"));
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Checks a whole chain, and that it still has every anchor.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(chain: &[Entry], anchors: &[Anchor]) -> Result<(), Broken> {
    let mut before = String::new();
    for (entry, seq) in chain.iter().zip(1..) {
        if entry.seq != seq {
            return Err(Broken(format!("entry {seq} is missing: after {} comes {}", seq - 1, entry.seq)));
        }
        if seal(&before, seq, &entry.record) != entry.hash {
            return Err(Broken(format!("entry {seq} is not what was written, or not where it was written")));
        }
        before.clone_from(&entry.hash);
    }
    for anchor in anchors {
        let found = usize::try_from(anchor.seq - 1).ok().and_then(|at| chain.get(at));
        match found {
            None => {
                let last = chain.len();
                return Err(Broken(format!(
                    "the end is cut off: the journal knows entry {}, the audit ends with {last}",
                    anchor.seq
                )));
            }
            Some(entry) if entry.hash != anchor.hash => {
                return Err(Broken(format!(
                    "entry {} is another one than the journal knows: the audit was written anew",
                    anchor.seq
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(records: &[&str]) -> Vec<Entry> {
        let mut before = String::new();
        let entry = |(record, seq): (&&str, i64)| {
            before = seal(&before, seq, record);
            Entry { seq, record: (*record).to_owned(), hash: before.clone() }
        };
        records.iter().zip(1..).map(entry).collect()
    }

    #[test]
    fn whatever_is_done_to_a_chain_shows() {
        let whole = chain(&["a", "b", "c", "d"]);
        let anchors: Vec<Anchor> =
            whole.iter().map(|entry| Anchor { seq: entry.seq, hash: entry.hash.clone() }).collect();
        assert_eq!(verify(&whole, &anchors), Ok(()));
        assert_eq!(verify(&[], &[]), Ok(()));
        type Change<'a> = &'a dyn Fn(&mut Vec<Entry>);
        let changes: [(&str, Change<'_>); 8] = [
            ("a record is changed", &|chain| chain[1].record = "B".into()),
            ("its hash with it", &|chain| {
                chain[1].record = "B".into();
                chain[1].hash = seal(&chain[0].hash.clone(), 2, "B");
            }),
            ("one is removed", &|chain| drop(chain.remove(1))),
            ("and the others are numbered anew", &|chain| {
                chain.remove(1);
                (chain[1].seq, chain[2].seq) = (2, 3);
            }),
            ("two change places", &|chain| chain.swap(1, 2)),
            ("two change their records", &|chain| {
                let (b, c) = (chain[1].record.clone(), chain[2].record.clone());
                (chain[1].record, chain[2].record) = (c, b);
            }),
            ("the end is cut off", &|chain| chain.truncate(3)),
            ("everything is written anew", &|all| *all = chain(&["a", "x", "c", "d"])),
        ];
        for (what, change) in changes {
            let mut changed = whole.clone();
            change(&mut changed);
            assert!(verify(&changed, &anchors).is_err(), "{what}");
        }
        // Without anchors the last two cannot be seen: that is what they are for.
        assert_eq!(verify(&whole[..3], &[]), Ok(()));
        assert_eq!(verify(&whole, &anchors[3..]), Ok(()), "an old journal is deleted some day");
    }
}
