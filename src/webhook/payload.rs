//! What a forge says, in its own words.

use hyper::HeaderMap;
use serde::Deserialize;

use super::verify::one;
use super::{Refused, strict};
use crate::model::names::{Delivery, Sha};
use crate::model::push::{Hint, Hook};
use crate::model::trigger::Forge;

/// What a verified request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The watched branch may point to something new.
    Push(Hint),
    /// The forge tries whether somebody answers.
    Ping,
    /// It is about something else, and why. That is no fault: forges tell more than one wants to know, and stop telling
    /// those who complain.
    Other(&'static str),
}

/// A push as GitHub, Gitea and Forgejo tell it.
#[derive(Deserialize)]
struct Github {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
    sender: Option<Account>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

/// A push as GitLab tells it.
#[derive(Deserialize)]
struct Gitlab {
    object_kind: String,
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    user_username: Option<String>,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

/// The same, whoever told it.
struct Told {
    reference: String,
    after: String,
    deleted: bool,
    repository: String,
    sender: Option<String>,
}

/// Reads a request that was verified.
///
/// # Errors
/// If it is not what that forge sends, or is about another repository.
pub fn meaning(hook: &Hook, headers: &HeaderMap, body: &[u8], delivery: Option<Delivery>) -> Result<Meaning, Refused> {
    let names: &[&str] = match hook.forge {
        Forge::Github => &["x-github-event"],
        Forge::Gitlab => &["x-gitlab-event"],
        Forge::Gitea => &["x-forgejo-event", "x-gitea-event"],
    };
    let mut event = None;
    for name in names {
        event = event.or(one(headers, name)?);
    }
    match (hook.forge, event) {
        (_, None) => return Err(Refused::bad("it does not say which event it is")),
        (Forge::Github, Some("ping")) => return Ok(Meaning::Ping),
        (Forge::Github | Forge::Gitea, Some("push")) | (Forge::Gitlab, Some("Push Hook")) => {}
        (_, Some(_)) => return Ok(Meaning::Other("another event than a push")),
    }
    let told = read(hook.forge, body)?;
    if !told.repository.eq_ignore_ascii_case(&hook.repository) {
        return Err(Refused::forbidden("it is about another repository"));
    }
    if told.reference.strip_prefix("refs/heads/") != Some(hook.branch.as_str()) {
        return Ok(Meaning::Other("another branch or a tag"));
    }
    let after: Sha = told.after.parse().map_err(|_| Refused::bad("the commit is not one"))?;
    if told.deleted || after.as_str().bytes().all(|b| b == b'0') {
        return Ok(Meaning::Other("the branch was deleted"));
    }
    // Only for people: one that cannot be shown is left out.
    let sender = told.sender.and_then(|name| name.parse().ok());
    Ok(Meaning::Push(Hint { forge: Some(hook.forge), delivery, sender, revision: Some(after) }))
}

fn read(forge: Forge, body: &[u8]) -> Result<Told, Refused> {
    let not = |error: serde_json::Error| {
        Refused::bad(format!("the body is not what {} sends: {}", forge.word(), plain(&error)))
    };
    strict::check(body).map_err(not)?;
    if forge == Forge::Gitlab {
        let told: Gitlab = serde_json::from_slice(body).map_err(not)?;
        if told.object_kind != "push" {
            return Err(Refused::bad("the body is about another event than the header"));
        }
        let Gitlab { reference, after, user_username, project, .. } = told;
        let repository = project.path_with_namespace;
        return Ok(Told { reference, after, deleted: false, repository, sender: user_username });
    }
    let Github { reference, after, deleted, repository, sender } = serde_json::from_slice(body).map_err(not)?;
    let sender = sender.map(|account| account.login);
    Ok(Told { reference, after, deleted, repository: repository.full_name, sender })
}

/// The kind of fault and its place, without anything of the body: serde quotes what it found.
fn plain(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a field is missing, twice, too deep or of another kind",
    };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}
