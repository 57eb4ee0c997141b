//! Asks the remote where the branch points to: one conversation, no mirror, nothing kept.

use super::{NOTICE, Plan, remote, too_long};
use crate::model::journal::Output;
use crate::model::request::Work;
use crate::paths;
use crate::steps::{Job, Outcome, blocking, not_mine};

/// Asks.
pub async fn run(job: &Job) -> Outcome {
    let Work::Ask = job.request.work else { return Err(not_mine()) };
    let timeout = job.settings.source.timeout;
    // A home of its own: a fetch may write its host keys at the same time.
    let area = job.at(&paths::fetched(&job.settings.app)).join("ask");
    let plan = Plan::aside(job, area);
    let ask = blocking(move || {
        remote::set_options(&plan.home)?;
        let hosts = remote::trusted_hosts(&plan.source, &plan.home)?;
        remote::head(&plan, &hosts)
    });
    let outcome = tokio::time::timeout(timeout + NOTICE, ask).await;
    outcome.unwrap_or_else(|_| Err(too_long(timeout))).map(|revision| Output::Asked { revision })
}
