//! What another environment runs, and whether it is well.

use std::collections::BTreeMap;

use serde_json::Value;

use super::forge::{Trouble, Web, moment};
use crate::model::gates::ForgeApi;
use crate::model::gates::outside::{Elsewhere, Told};
use crate::model::names::Sha;
use crate::model::trigger::Forge;

/// Asks something that answers in JSON.
pub async fn url(
    web: &Web,
    url: &str,
    revision: &str,
    since: Option<&str>,
    wanted: &BTreeMap<String, Value>,
) -> Told<Elsewhere> {
    let answer = match web.get(url).await {
        Ok(answer) => answer,
        Err(trouble) => return trouble.into(),
    };
    let wrong = wanted.iter().find(|(pointer, value)| answer.pointer(pointer) != Some(value));
    Told::Known(Elsewhere {
        revision: sha(answer.pointer(revision)),
        unwell: wrong.map(|(pointer, value)| {
            format!("{pointer} is {}, not {value}", answer.pointer(pointer).unwrap_or(&Value::Null))
        }),
        since: since.and_then(|since| match answer.pointer(since) {
            Some(value) if value.is_i64() => value.as_i64(),
            Some(value) => Some(moment(value)).filter(|at| *at > 0),
            None => None,
        }),
    })
}

/// Asks the forge for its newest deployment to an environment.
pub async fn environment(web: &Web, forge: &ForgeApi, name: &str) -> Told<Elsewhere> {
    let asked = match forge.kind {
        Forge::Github => github(web, forge, name).await,
        Forge::Gitlab => gitlab(web, forge, name).await,
        Forge::Gitea => Err(Trouble::Never("Gitea has no deployments: give gates.promotion a URL".to_owned())),
    };
    asked.map_or_else(Told::from, Told::Known)
}

async fn github(web: &Web, forge: &ForgeApi, name: &str) -> Result<Elsewhere, Trouble> {
    let path = format!("repos/{}/deployments", forge.repository);
    let newest = web.ask(forge, &format!("{path}?environment={}&per_page=1", encoded(name))).await?;
    let Some(deployment) = newest.get(0) else { return Ok(nothing(name)) };
    let Some(id) = deployment["id"].as_u64() else { return Ok(nothing(name)) };
    let statuses = web.ask(forge, &format!("{path}/{id}/statuses?per_page=1")).await?;
    let status = &statuses[0];
    Ok(found(deployment, status["state"].as_str() == Some("success"), &status["state"], &status["created_at"]))
}

async fn gitlab(web: &Web, forge: &ForgeApi, name: &str) -> Result<Elsewhere, Trouble> {
    let project = forge.repository.replace('/', "%2F");
    let path = format!("projects/{project}/deployments?environment={}&order_by=id&sort=desc&per_page=1", encoded(name));
    let newest = web.ask(forge, &path).await?;
    let Some(deployment) = newest.get(0) else { return Ok(nothing(name)) };
    let status = &deployment["status"];
    Ok(found(deployment, status.as_str() == Some("success"), status, &deployment["updated_at"]))
}

fn found(deployment: &Value, well: bool, state: &Value, since: &Value) -> Elsewhere {
    Elsewhere {
        revision: sha(deployment.get("sha")),
        unwell: (!well).then(|| format!("its deployment is {state}")),
        since: Some(moment(since)).filter(|at| well && *at > 0),
    }
}

fn nothing(name: &str) -> Elsewhere {
    Elsewhere { revision: None, unwell: Some(format!("nothing was ever deployed to {name}")), since: None }
}

/// Only a whole revision says what runs.
fn sha(value: Option<&Value>) -> Option<Sha> {
    value?.as_str()?.to_ascii_lowercase().parse().ok()
}

/// As it can stand in a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"._-".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
