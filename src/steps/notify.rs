//! Tells somebody about a deployment: one notice, once. Whether it is tried again is the core's to decide, and nothing
//! depends on it.

mod forge;
mod mail;
mod words;

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use super::child::plain;
use super::files::hex;
use super::output::say;
use super::{Job, Outcome, not_mine};
use crate::config::{Channel, Notice};
use crate::model::journal::{Cause, Output};
use crate::model::names::{App, DeploymentId};
use crate::model::notice::Message;
use crate::model::request::Work;

/// For one request; a service that is slower is tried again later.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is read of an answer.
const LARGEST_ANSWER: usize = 1 << 20;

/// Sends one notice.
///
/// # Errors
/// If it was not taken, with what the other side said.
pub async fn run(job: &Job) -> Outcome {
    let secrets = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).unwrap_or_default();
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    run_with(job, &Means { secrets, host, patience: PATIENCE, sendmail: mail::SOCKET.into() }).await
}

/// What it has besides its configuration and its request.
struct Means {
    /// Where the secrets are.
    secrets: PathBuf,
    /// This server's name.
    host: String,
    /// Time for one request.
    patience: Duration,
    /// Where mail is taken.
    sendmail: PathBuf,
}

async fn run_with(job: &Job, means: &Means) -> Outcome {
    let Work::Notify { notice, message } = &job.request.work else { return Err(not_mine()) };
    let notices = &job.settings.notices;
    let Some(notice) = notices.all.iter().find(|known| known.name == *notice) else {
        return Err(Cause::new(format!("there is no notice {notice} in the settings any more")));
    };
    let told = Told {
        app: &job.settings.app,
        id: job.request.deployment,
        message,
        environment: &notices.environment,
        host: &means.host,
    };
    let secret = secret(notice, means)?;
    let client = client(means.patience)?;
    send(&client, notice, secret.as_deref(), &told, means).await.map_err(|why| {
        // The address of Slack and of a bot is a secret: it must not stand in a log.
        let why = secret.iter().fold(why, |why, secret| why.replace(secret.as_str(), "…"));
        Cause::new(format!("notice {}: {}", notice.name, plain(&why)))
    })?;
    say(&format!("told {}: {}", notice.name, told.sentence()));
    Ok(Output::Nothing)
}

/// One message, with all that is known about where it comes from.
struct Told<'a> {
    app: &'a App,
    id: DeploymentId,
    message: &'a Message,
    environment: &'a str,
    host: &'a str,
}

impl Told<'_> {
    /// As the journal says it.
    fn sentence(&self) -> String {
        self.message.moment.sentence(self.id, self.app, &self.message.by)
    }

    /// Two attempts at telling the same have the same, so that a receiver can drop the second.
    fn key(&self) -> String {
        format!("{}-{}-{}", self.app, self.id, self.message.moment.word())
    }
}

fn secret(notice: &Notice, means: &Means) -> Result<Option<String>, Cause> {
    if notice.secret.is_none() {
        return Ok(None);
    }
    let path = means.secrets.join(format!("notice-{}", notice.name));
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Cause::new(format!("the secret of notice {} cannot be read: {error}", notice.name))
            .hint("`sudo tsh-agent init` again hands it to the unit that sends")
    })?;
    match text.trim() {
        "" => Err(Cause::new(format!("the secret of notice {} is empty", notice.name))),
        secret => Ok(Some(secret.to_owned())),
    }
}

fn client(patience: Duration) -> Result<Client, Cause> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .user_agent(concat!("tsh-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Cause::new(format!("cannot make HTTP requests: {}", root(&error))))
}

async fn send(
    client: &Client,
    notice: &Notice,
    secret: Option<&str>,
    told: &Told<'_>,
    means: &Means,
) -> Result<(), String> {
    let secret = secret.unwrap_or_default();
    let post = |url: &str, body: &Value| client.request(Method::POST, url).json(body);
    match &notice.channel {
        Channel::Webhook { url } => {
            let body = words::everything(told).to_string();
            let now = jiff::Timestamp::now().as_second();
            let request = client
                .post(url)
                .header("content-type", "application/json")
                .header("tsh-delivery", told.key())
                .header("tsh-signature", format!("t={now},v1={}", sign(secret, now, &body)?))
                .body(body);
            taken(request).await
        }
        Channel::Slack => taken(post(secret, &json!({ "text": words::slack(told) }))).await,
        Channel::Discord => {
            // A commit's subject must not wake everybody.
            let body = json!({ "content": words::short(told, 2000), "allowed_mentions": { "parse": [] } });
            taken(post(secret, &body)).await
        }
        Channel::Telegram { url, chat } => {
            let text = words::short(told, 4096);
            let body = json!({ "chat_id": chat, "text": text, "link_preview_options": { "is_disabled": true } });
            taken(post(&format!("{url}/bot{secret}/sendMessage"), &body)).await
        }
        Channel::Ntfy { url } => {
            let (priority, tag) = words::urgency(told.message.moment);
            let request = client
                .post(url)
                .header("title", told.sentence())
                .header("priority", priority)
                .header("tags", tag)
                .body(words::body(told));
            taken(if secret.is_empty() { request } else { request.bearer_auth(secret) }).await
        }
        Channel::Mail { to, from } => {
            let letter = mail::letter(told, to, from.as_deref());
            tokio::time::timeout(means.patience, mail::hand_over(&means.sendmail, &letter))
                .await
                .unwrap_or_else(|_| Err("sendmail did not take it in time".to_owned()))
        }
        Channel::Forge { forge, url, repository } => {
            forge::Forge { client, kind: *forge, url, repository, token: secret, told }.tell().await
        }
    }
}

/// The time is signed as well, so that an old one cannot be sent again by somebody else.
fn sign(secret: &str, now: i64, body: &str) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
    mac.update(format!("{now}.{body}").as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

/// Sends, and wants a 2xx.
async fn taken(request: RequestBuilder) -> Result<(), String> {
    let (status, body) = ask(request).await?;
    if status.is_success() { Ok(()) } else { Err(refused(status, &body)) }
}

/// Sends, and gives what came back.
async fn ask(request: RequestBuilder) -> Result<(StatusCode, String), String> {
    let mut response = request.send().await.map_err(|error| root(&error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| root(&error))? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST_ANSWER {
            return Err("the answer is too long".to_owned());
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn refused(status: StatusCode, body: &str) -> String {
    let first: String = plain(body.lines().next().unwrap_or_default()).chars().take(200).collect();
    let said = if first.is_empty() { first } else { format!(": {first}") };
    format!("it answered {}{said}", status.as_u16())
}

/// The innermost reason, without the address, which may be a secret.
fn root(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.source().is_none() { "the request cannot be made".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests;
