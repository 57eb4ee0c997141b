//! Finds out for the gates what the core cannot: it asks the forge and the other environment, and verifies signatures.
//! It decides nothing, and it never takes a missing answer for a yes.

mod checks;
mod forge;
mod promotion;
mod signature;

use std::path::PathBuf;

use super::output::say;
use super::{Job, Outcome, not_mine};
use crate::model::gates::PromotedFrom;
use crate::model::gates::outside::{Outside, Signed, Told};
use crate::model::journal::Output;
use crate::model::request::Work;
use crate::paths;
use forge::Web;

/// The owner of files that everybody may believe.
const ROOT: u32 = 0;

/// Finds out what is configured.
pub async fn run(job: &Job) -> Outcome {
    let Work::Gates { revision } = &job.request.work else { return Err(not_mine()) };
    let rules = &job.settings.gates;
    let mut outside = Outside::default();
    if let Some(rule) = &rules.signature {
        let commits = job.at(&paths::commits(&job.settings.app));
        let signed = signature::verify(rule, ROOT, &commits, revision).await?;
        if let Signed::Bad { why } = &signed {
            say(&format!("signature: {why}"));
        }
        outside.signature = Some(signed);
    }
    let web = Web::new(token())?;
    if let (Some(_), Some(forge)) = (&rules.ci, &rules.forge) {
        let told = checks::ask(&web, forge, revision).await;
        if let Told::NotNow(why) | Told::Never(why) = &told {
            say(&format!("checks: {why}"));
        }
        outside.checks = Some(told);
    }
    if let Some(rule) = &rules.promotion {
        let told = match (&rule.from, &rules.forge) {
            (PromotedFrom::Url { url, revision, since, json }, _) => {
                promotion::url(&web, url, revision, since.as_deref(), json).await
            }
            (PromotedFrom::Environment(name), Some(forge)) => promotion::environment(&web, forge, name).await,
            (PromotedFrom::Environment(_), None) => Told::Never("there is no [gates.forge]".to_owned()),
        };
        if let Told::NotNow(why) | Told::Never(why) = &told {
            say(&format!("promotion: {why}"));
        }
        outside.promotion = Some(told);
    }
    Ok(Output::Outside(Box::new(outside)))
}

/// The token comes as a credential, so that root's file stays root's.
fn token() -> Option<String> {
    let path = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join("forge-token"))?;
    let token = std::fs::read_to_string(path).ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod signature_tests;
#[cfg(test)]
mod tests;
