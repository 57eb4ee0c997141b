//! Keys of programs, and what they ask. The network face passes a key on and knows none: it could use one while it sees
//! it, but it cannot make one.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::host::files;
use crate::host::machine::now;
use crate::model::key::{Allow, Answer, Asked, KeyView};
use crate::model::names::{App, KeyName, Sha};
use crate::model::outcome::Exit;
use crate::model::push::{Push, PushState, PushView};
use crate::model::trigger::Trigger;
use crate::model::view::DeploymentView;

/// So that a key that was left somewhere can be found by what looks for such.
const PREFIX: &str = "tsh_";
/// The longest that one question is kept open; a client asks again.
const LONGEST: Duration = Duration::from_secs(20);
/// Use is noted at most so often, in milliseconds: a client that waits asks every few seconds.
const USED: i64 = 60_000;

impl Daemon {
    /// Makes a key. It is shown once, and only its hash is kept.
    pub(super) async fn add_key(
        &self,
        by: Caller,
        name: KeyName,
        app: App,
        mut allow: Vec<Allow>,
    ) -> Result<String, Refusal> {
        roots(&by)?;
        self.settings(&app)?;
        allow.sort_unstable();
        allow.dedup();
        if allow.is_empty() {
            return Err(Refusal::new(Kind::Usage, "a key that may do nothing is none"));
        }
        let key = format!("{PREFIX}{}", files::random().map_err(|error| Refusal::internal(error.to_string()))?);
        let view = KeyView { name: name.clone(), app, allow, created: now(), used: None };
        if !self.store.add_key(&view, &hash(&key)).await.map_err(broken)? {
            let hint = format!("`tsh-agent key remove {name}` first");
            return Err(Refusal::new(Kind::NotPossible, format!("there is a key {name} already")).hint(hint));
        }
        tracing::warn!(tsh_app = %view.app, "key {name} for {} was made by {}", view.app, by.name);
        Ok(key)
    }

    /// All keys.
    pub(super) async fn list_keys(&self) -> Result<Vec<KeyView>, Refusal> {
        Ok(self.store.keys().await.map_err(broken)?.into_iter().map(|(view, _)| view).collect())
    }

    /// Removes one; what it asked for goes on.
    pub(super) async fn remove_key(&self, by: Caller, name: KeyName) -> Result<(), Refusal> {
        roots(&by)?;
        if !self.store.remove_key(&name).await.map_err(broken)? {
            return Err(Refusal::new(Kind::NotFound, format!("there is no key {name}")).hint("`tsh-agent key list`"));
        }
        tracing::warn!("key {name} was removed by {}", by.name);
        Ok(())
    }

    /// The key that this is, if it is one and may do that for the application.
    async fn key(&self, given: &str, app: &App, allow: Allow) -> Result<KeyName, Refusal> {
        let given = hash(given);
        let mut found = None;
        for (view, hash) in self.store.keys().await.map_err(broken)? {
            if same(&given, &hash) {
                found = Some(view);
            }
        }
        let unknown = || Refusal::new(Kind::Denied, "the key is not known, or not for this");
        let view = found.filter(|view| view.app == *app && view.allow.contains(&allow)).ok_or_else(unknown)?;
        if view.used.is_none_or(|used| now() - used > USED) {
            self.store.use_key(&view.name, now()).await.map_err(broken)?;
        }
        Ok(view.name)
    }

    /// A program asks for a commit. It waits its turn like every push; its number.
    pub(super) async fn request(self: &Arc<Self>, key: &str, app: App, revision: Sha) -> Result<Answer, Refusal> {
        let name = self.key(key, &app, Allow::Deploy).await?;
        self.settings(&app)?;
        let trigger = Trigger::ApiKey { name };
        let push = Push { by: trigger.by(""), trigger, revision: Some(revision) };
        let id = self.remember(&app, &push).await?;
        let view = self.store.push(id).await.map_err(broken)?;
        self.tell(view.ok_or_else(|| Refusal::internal("what was noted is not there"))?).await
    }

    /// How a request, or a deployment, is; if it has not ended, when that changes or the time is over.
    pub(super) async fn answer(&self, key: &str, what: Asked, wait: Duration) -> Result<Answer, Refusal> {
        let mut changes = self.changes.subscribe();
        let end = tokio::time::Instant::now() + wait.min(LONGEST);
        let unknown = || Refusal::new(Kind::Denied, "the key is not known, or not for this");
        let app = match what {
            Asked::Request(id) => self.store.push(id).await.map_err(broken)?.ok_or_else(unknown)?.app,
            Asked::Deployment(id) => self.store.deployment(id).await.map_err(broken)?.ok_or_else(unknown)?.0.app,
        };
        self.key(key, &app, Allow::Read).await?;
        loop {
            let answer = match what {
                Asked::Request(id) => {
                    self.tell(self.store.push(id).await.map_err(broken)?.ok_or_else(unknown)?).await?
                }
                Asked::Deployment(id) => deployment(&self.view(id).await?, None),
            };
            if answer.ended || tokio::time::timeout_at(end, changes.changed()).await.is_err() {
                return Ok(answer);
            }
        }
    }

    async fn tell(&self, push: PushView) -> Result<Answer, Refusal> {
        if let Some(id) = push.deployment.filter(|_| push.state == PushState::Taken) {
            return Ok(deployment(&self.view(id).await?, Some(push.id)));
        }
        let waiting = self.waiting_pushes(&push.app).await.map_err(broken)?;
        let why = waiting.into_iter().find(|waiting| waiting.id == push.id).map(|waiting| waiting.note);
        let exit = match push.state {
            PushState::Waiting => None,
            PushState::Taken | PushState::NothingNew => Some(Exit::Good),
            PushState::Superseded => Some(Exit::Untouched),
            PushState::Refused => Some(Exit::Refused),
        };
        Ok(Answer {
            request: Some(push.id),
            deployment: push.deployment,
            state: push.state.word().to_owned(),
            ended: exit.is_some(),
            exit: exit.map(|exit| exit as u8),
            revision: push.revision,
            note: why.unwrap_or(push.note),
            url: format!("/v1/requests/{}", push.id),
        })
    }
}

fn deployment(view: &DeploymentView, request: Option<u32>) -> Answer {
    let failed = view.failure.as_ref().map(|failure| format!("{}: {}", failure.step.word(), failure.cause.what));
    let waits = view.steps.last().filter(|last| last.state == "waiting").map(|last| last.detail.clone());
    let why = failed.or(waits);
    let url = match request {
        Some(request) => format!("/v1/requests/{request}"),
        None => format!("/v1/deployments/{}", view.id),
    };
    Answer {
        request,
        deployment: Some(view.id),
        state: view.state.clone(),
        ended: view.verdict.is_some(),
        exit: view.verdict.map(|verdict| verdict.exit() as u8),
        revision: view.revision.clone(),
        note: view.note.clone().or(why).unwrap_or_default(),
        url,
    }
}

/// A key outlives its maker's place in a group, so it takes more than that to make one.
fn roots(by: &Caller) -> Result<(), Refusal> {
    let what = "keys are made and removed by root alone";
    if by.uid == 0 { Ok(()) } else { Err(Refusal::new(Kind::NotPossible, what).hint("sudo tsh-agent key …")) }
}

/// A key has 256 random bits, so nothing slower is needed.
fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// In the same time wherever they differ.
fn same(one: &str, other: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(b"compare") else { return false };
    let Ok(mut tag) = Hmac::<Sha256>::new_from_slice(b"compare") else { return false };
    mac.update(one.as_bytes());
    tag.update(other.as_bytes());
    mac.verify_slice(&tag.finalize().into_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_is_the_same() {
        let one = hash("tsh_a");
        assert_eq!(one.len(), 64);
        assert!(same(&one, &hash("tsh_a")));
        for other in [hash("tsh_b"), String::new(), one[1..].to_owned(), one.to_uppercase()] {
            assert!(!same(&one, &other), "{other}");
        }
    }

    #[test]
    fn only_root_makes_keys() {
        let by = |uid| Caller { uid, name: "x".to_owned(), login: None, from: None };
        assert!(roots(&by(0)).is_ok());
        assert!(roots(&by(1000)).is_err());
    }
}
