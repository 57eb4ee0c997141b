//! An HTTP request to the application itself, and what must be in the answer.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;

use super::Fault;
use crate::config::Http;
use crate::model::journal::Cause;
use crate::model::names::{SchemaRevision, Sha};
use crate::steps::child::plain;

/// A health answer is small; what is behind this is not read.
const LARGEST_BODY: usize = 1 << 20;
/// Who does not answer in this time is not looked at.
const PATIENCE: Duration = Duration::from_secs(3);
/// Shorter ones could be any revision.
const SHORTEST_REVISION: usize = 7;

/// A client that talks to the address it is given and to nobody else, with a new connection each time; or to whoever
/// listens at a path, whatever the address.
pub fn client(way_in: Option<&Path>) -> Result<Client, Cause> {
    let builder = match way_in {
        Some(path) => Client::builder().unix_socket(path),
        None => Client::builder(),
    };
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent("tsh-agent-probe")
        .build()
        .map_err(|error| Cause::new(format!("cannot make HTTP requests: {}", root(&error))))
}

/// What a process of the release must tell about itself.
#[derive(Debug, Clone, Copy)]
pub struct Intended<'a> {
    /// The commit it was built from, if that is known.
    pub revision: Option<&'a Sha>,
    /// The schema's revisions; empty: any.
    pub schema: &'a [SchemaRevision],
}

/// Asks once.
pub async fn check(client: &Client, probe: &Http, intended: &Intended<'_>) -> Result<(), Fault> {
    let answer = tokio::time::timeout(probe.timeout, ask(client, probe, intended)).await;
    let answer = answer.unwrap_or_else(|_| Err(no_answer(probe.timeout)));
    answer.map_err(|why| Fault { excusable: true, ..Fault::new(format!("GET {}: {why}", probe.url)) })
}

/// What answers at this address now: its status and its body.
pub async fn look(url: &str) -> Option<(u16, String)> {
    let asked = async {
        let response = client(None).ok()?.get(url).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, body(response).await.ok()?))
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}

async fn ask(client: &Client, probe: &Http, intended: &Intended<'_>) -> Result<(), String> {
    let mut request = client.get(&probe.url);
    if let Some(host) = &probe.host {
        request = request.header(reqwest::header::HOST, host);
    }
    let response = request.send().await.map_err(|error| root(&error))?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = body(response).await?;
    if status != probe.status {
        let said = plain(body.lines().next().unwrap_or_default());
        let said: String = said.chars().take(200).collect();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        return Err(format!("status {status}, not {}{said}", probe.status));
    }
    for (name, wanted) in &probe.headers {
        let found: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if !found.contains(&wanted.as_str()) {
            return Err(format!("header {name} is {:?}, not {wanted:?}", found.join(", ")));
        }
    }
    if let Some(text) = probe.body.as_ref().filter(|text| !body.contains(text.as_str())) {
        return Err(format!("the answer does not contain {text:?}"));
    }
    if probe.json.is_empty() && probe.revision.is_none() && probe.schema.is_none() {
        return Ok(());
    }
    let json: Value = serde_json::from_str(&body).map_err(|_| "the answer is not JSON".to_owned())?;
    for (pointer, wanted) in &probe.json {
        let found = json.pointer(pointer).unwrap_or(&Value::Null);
        if found != wanted {
            return Err(format!("{pointer} is {found}, not {wanted}"));
        }
    }
    if let (Some(pointer), Some(revision)) = (&probe.revision, intended.revision) {
        check_revision(&json, pointer, revision)?;
    }
    match &probe.schema {
        Some(pointer) => check_schema(&json, pointer, intended.schema),
        None => Ok(()),
    }
}

/// The schema that the process sees must be one of the intended ones, where any are named.
fn check_schema(json: &Value, pointer: &str, intended: &[SchemaRevision]) -> Result<(), String> {
    let Some(found) = json.pointer(pointer).and_then(Value::as_str) else {
        return Err(format!("{pointer} names no schema revision"));
    };
    if intended.is_empty() || intended.iter().any(|schema| schema.as_str() == found) {
        return Ok(());
    }
    let words: Vec<&str> = intended.iter().map(SchemaRevision::as_str).collect();
    Err(format!("it sees schema revision {:?}, not {}", plain(found), words.join(" or ")))
}

/// The revision that answers must be the intended one, whole or as its beginning.
fn check_revision(json: &Value, pointer: &str, revision: &Sha) -> Result<(), String> {
    let Some(found) = json.pointer(pointer).and_then(Value::as_str) else {
        return Err(format!("{pointer} names no revision"));
    };
    if found.len() >= SHORTEST_REVISION && revision.as_str().starts_with(&found.to_ascii_lowercase()) {
        return Ok(());
    }
    let found: String = plain(found).chars().take(40).collect();
    match found.parse::<Sha>() {
        Ok(other) => {
            Err(format!("answers with revision {} of another release, not {}", other.short(), revision.short()))
        }
        Err(_) => Err(format!("answers with revision {found:?}, not {}", revision.short())),
    }
}

async fn body(mut response: Response) -> Result<String, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_BODY {
            body.truncate(LARGEST_BODY);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn no_answer(timeout: Duration) -> String {
    format!("no answer within {} s", timeout.as_secs_f32())
}

/// The innermost error, which is the one that says something.
fn root(error: &reqwest::Error) -> String {
    let mut inner = error.source();
    let mut text = error.to_string();
    while let Some(error) = inner {
        text = error.to_string();
        inner = error.source();
    }
    text
}
