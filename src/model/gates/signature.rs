//! Signature: every commit that is new against what runs is signed by somebody whom root has listed, as of now. One
//! unsigned commit behind a signed merge is one too many.

use std::path::PathBuf;

use super::Said;
use super::facts::Facts;
use super::outside::Signed;

/// `[gates.signature]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Root's list, in the format of `ssh-keygen`'s allowed signers, outside of every repository.
    pub allowed_signers: PathBuf,
    /// Root's list of keys that count no more.
    pub revoked: Option<PathBuf>,
}

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    if facts.rules.signature.is_none() {
        return Said::off();
    }
    let Some(outside) = facts.outside else { return Said::open() };
    match &outside.signature {
        None => Said::unasked(),
        Some(Signed::Good { commits: 1, by }) => Said::pass(format!("signed by {by}")),
        Some(Signed::Good { commits, by }) => Said::pass(format!("{commits} new commits are signed, the last by {by}")),
        Some(Signed::Bad { why }) => Said::refuse(why).lift("who signs; or a person with `--override signature`"),
    }
}
