//! What a forge knows of the checks on one commit, in one form for all forges. What it calls by a name that we do not
//! know is a failure: nobody can say that it is not.

use serde_json::Value;

use super::forge::{Trouble, Web, moment};
use crate::model::gates::ForgeApi;
use crate::model::gates::outside::{Run, RunState, Told};
use crate::model::names::Sha;
use crate::model::trigger::Forge;

/// Every run of every check.
pub async fn ask(web: &Web, forge: &ForgeApi, revision: &Sha) -> Told<Vec<Run>> {
    let runs = match forge.kind {
        Forge::Github => github(web, forge, revision).await,
        Forge::Gitlab => gitlab(web, forge, revision).await,
        Forge::Gitea => gitea(web, forge, revision).await,
    };
    runs.map_or_else(Told::from, Told::Known)
}

async fn github(web: &Web, forge: &ForgeApi, revision: &Sha) -> Result<Vec<Run>, Trouble> {
    let commit = format!("repos/{}/commits/{revision}", forge.repository);
    let checks = web
        .all(forge, &format!("{commit}/check-runs?filter=all"), "per_page", |page| page["check_runs"].as_array())
        .await?;
    let statuses = web.all(forge, &format!("{commit}/statuses"), "per_page", Value::as_array).await?;
    let check = |run: &Value| Run {
        name: text(&run["name"]),
        source: format!("check of {}", text(&run["app"]["slug"])),
        state: match (run["status"].as_str(), run["conclusion"].as_str()) {
            (Some("completed"), Some("success")) => RunState::Success,
            (Some("completed"), Some("neutral")) => RunState::Neutral,
            (Some("completed"), Some("cancelled")) => RunState::Cancelled,
            (Some("completed"), Some("skipped")) => RunState::Skipped,
            (Some("queued" | "in_progress" | "waiting" | "requested" | "pending"), _) => RunState::Pending,
            _ => RunState::Failure,
        },
        at: moment(&run["started_at"]),
        id: run["id"].as_u64().unwrap_or_default(),
    };
    let status = |status: &Value| by_status(status, &status["context"], &status["state"]);
    Ok(checks.iter().map(check).chain(statuses.iter().map(status)).collect())
}

async fn gitlab(web: &Web, forge: &ForgeApi, revision: &Sha) -> Result<Vec<Run>, Trouble> {
    let project = format!("projects/{}", forge.repository.replace('/', "%2F"));
    let jobs = web
        .all(forge, &format!("{project}/repository/commits/{revision}/statuses?all=true"), "per_page", Value::as_array)
        .await?;
    let pipelines = web.all(forge, &format!("{project}/pipelines?sha={revision}"), "per_page", Value::as_array).await?;
    let run = |name: String, source: &str, value: &Value| Run {
        name,
        source: source.to_owned(),
        state: match value["status"].as_str() {
            Some("success") => RunState::Success,
            Some("canceled" | "canceling") => RunState::Cancelled,
            Some("skipped") => RunState::Skipped,
            Some(
                "created"
                | "waiting_for_resource"
                | "preparing"
                | "pending"
                | "running"
                | "manual"
                | "scheduled"
                | "waiting_for_callback",
            ) => RunState::Pending,
            _ => RunState::Failure,
        },
        at: moment(&value["created_at"]),
        id: value["id"].as_u64().unwrap_or_default(),
    };
    let jobs = jobs.iter().map(|job| run(text(&job["name"]), "job", job));
    Ok(jobs.chain(pipelines.iter().map(|pipeline| run("pipeline".to_owned(), "pipeline", pipeline))).collect())
}

async fn gitea(web: &Web, forge: &ForgeApi, revision: &Sha) -> Result<Vec<Run>, Trouble> {
    let path = format!("repos/{}/commits/{revision}/statuses", forge.repository);
    let statuses = web.all(forge, &path, "limit", Value::as_array).await?;
    Ok(statuses.iter().map(|status| by_status(status, &status["context"], &status["status"])).collect())
}

/// A status as GitHub began them and Gitea took them over.
fn by_status(status: &Value, name: &Value, state: &Value) -> Run {
    Run {
        name: text(name),
        source: "status".to_owned(),
        state: match state.as_str() {
            Some("success") => RunState::Success,
            Some("pending") => RunState::Pending,
            Some("warning") => RunState::Neutral,
            Some("skipped") => RunState::Skipped,
            _ => RunState::Failure,
        },
        at: moment(&status["created_at"]),
        id: status["id"].as_u64().unwrap_or_default(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
