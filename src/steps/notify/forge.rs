//! Deployments and statuses of commits in a forge. What was told before is looked for there and not remembered here, so
//! that telling again, after a crash or too late, ends in the same state.

use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::{Value, json};

use super::{Told, ask, refused, taken};
use crate::model::names::Sha;
use crate::model::notice::Moment;
use crate::model::outcome::Verdict;
use crate::model::trigger::Forge as Kind;

/// How much GitHub takes of a description.
const DESCRIPTION: usize = 140;

/// One forge, and what it is told.
pub(super) struct Forge<'a> {
    pub(super) client: &'a Client,
    pub(super) kind: Kind,
    pub(super) url: &'a str,
    pub(super) repository: &'a str,
    pub(super) token: &'a str,
    pub(super) told: &'a Told<'a>,
}

impl Forge<'_> {
    /// Tells the forge; without a revision there is no place for it there.
    pub(super) async fn tell(&self) -> Result<(), String> {
        let Some(revision) = &self.told.message.revision else { return Ok(()) };
        match self.kind {
            Kind::Github => self.github(revision).await,
            Kind::Gitlab => self.gitlab(revision).await,
            Kind::Gitea => self.commit_status(revision).await,
        }
    }

    async fn github(&self, revision: &Sha) -> Result<(), String> {
        let (told, environment) = (self.told, self.told.environment);
        let deployments = format!("{}/repos/{}/deployments", self.url, self.repository);
        let task = format!("deploy:tsh-agent:{}:{}", told.app, told.id);
        let query = [("sha", revision.as_str()), ("environment", environment), ("task", task.as_str())];
        let known = self.json(self.request(Method::GET, &asked(&deployments, &query)?)).await?;
        let id = match known.get(0).and_then(|known| known["id"].as_u64()) {
            Some(id) => id,
            None => {
                let body = json!({
                    "ref": revision, "task": task, "environment": environment, "description": self.description(),
                    // What may go live is decided here, and it is on its way already.
                    "auto_merge": false, "required_contexts": [],
                    "payload": { "tsh_deployment": told.id, "app": told.app, "host": told.host },
                });
                let made = self.json(self.request(Method::POST, &deployments).json(&body)).await?;
                made["id"].as_u64().ok_or("it made a deployment without a number")?
            }
        };
        let state = match told.message.moment {
            Moment::Accepted | Moment::Fetched => "in_progress",
            Moment::Ended(Verdict::Deployed) => "success",
            Moment::Ended(Verdict::Failed | Verdict::RolledBack | Verdict::Refused) => "failure",
            Moment::Ended(Verdict::Aborted | Verdict::NeedsOperator) => "error",
            Moment::Ended(Verdict::Superseded) => "inactive",
        };
        let status = json!({ "state": state, "environment": environment, "description": self.description() });
        taken(self.request(Method::POST, &format!("{deployments}/{id}/statuses")).json(&status)).await?;
        self.commit_status(revision).await
    }

    async fn gitlab(&self, revision: &Sha) -> Result<(), String> {
        let project = format!("{}/projects/{}", self.url, self.repository.replace('/', "%2F"));
        let environment = self.told.environment;
        let state = match self.told.message.moment {
            Moment::Accepted | Moment::Fetched => "running",
            Moment::Ended(Verdict::Deployed) => "success",
            Moment::Ended(Verdict::Failed | Verdict::RolledBack | Verdict::NeedsOperator | Verdict::Refused) => {
                "failed"
            }
            Moment::Ended(Verdict::Aborted | Verdict::Superseded) => "canceled",
        };
        let deployments = format!("{project}/deployments");
        let query = [("environment", environment), ("order_by", "id"), ("sort", "desc"), ("per_page", "50")];
        let known = self.json(self.request(Method::GET, &asked(&deployments, &query)?)).await?;
        // GitLab keeps no word of ours at a deployment: whatever of this commit has not ended is ours.
        let open = known.as_array().into_iter().flatten().filter(|known| {
            known["sha"] == revision.as_str()
                && ["created", "running"].contains(&known["status"].as_str().unwrap_or_default())
        });
        let open: Vec<u64> = open.filter_map(|known| known["id"].as_u64()).collect();
        if open.is_empty() {
            let body =
                json!({ "environment": environment, "sha": revision, "ref": revision, "tag": false, "status": state });
            taken(self.request(Method::POST, &deployments).json(&body)).await?;
        }
        if state != "running" {
            for id in open {
                let request = self.request(Method::PUT, &format!("{deployments}/{id}"));
                taken(request.json(&json!({ "status": state }))).await?;
            }
        }
        let body = json!({ "state": state, "name": self.context(), "description": self.description() });
        let (status, said) =
            ask(self.request(Method::POST, &format!("{project}/statuses/{revision}")).json(&body)).await?;
        // It refuses to be told the same twice.
        let same = status.as_u16() == 400 && said.contains("Cannot transition status");
        if status.is_success() || same { Ok(()) } else { Err(refused(status, &said)) }
    }

    async fn commit_status(&self, revision: &Sha) -> Result<(), String> {
        let state = match self.told.message.moment {
            Moment::Accepted | Moment::Fetched => "pending",
            Moment::Ended(Verdict::Deployed) => "success",
            Moment::Ended(Verdict::Failed | Verdict::RolledBack | Verdict::Refused) => "failure",
            Moment::Ended(Verdict::Aborted | Verdict::NeedsOperator | Verdict::Superseded) => "error",
        };
        let body = json!({ "state": state, "context": self.context(), "description": self.description() });
        let url = format!("{}/repos/{}/statuses/{revision}", self.url, self.repository);
        taken(self.request(Method::POST, &url).json(&body)).await
    }

    fn context(&self) -> String {
        format!("tsh-agent/{}", self.told.environment)
    }

    fn description(&self) -> String {
        self.told.sentence().chars().take(DESCRIPTION).collect()
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url).header("accept", "application/json");
        match self.kind {
            Kind::Github => request.bearer_auth(self.token).header("x-github-api-version", "2022-11-28"),
            Kind::Gitlab => request.header("private-token", self.token),
            Kind::Gitea => request.header("authorization", format!("token {}", self.token)),
        }
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, String> {
        let (status, body) = ask(request).await?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        serde_json::from_str(&body).map_err(|error| format!("its answer is not understood: {error}"))
    }
}

fn asked(url: &str, query: &[(&str, &str)]) -> Result<String, String> {
    Url::parse_with_params(url, query).map(String::from).map_err(|error| error.to_string())
}
