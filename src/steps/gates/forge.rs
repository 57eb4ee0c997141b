//! Requests to a forge: what it answers, or whether it is worth asking again.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::model::gates::ForgeApi;
use crate::model::gates::outside::Told;
use crate::model::journal::Cause;
use crate::model::trigger::Forge;
use crate::steps::child::plain;

/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longer answers are no answers.
const LARGEST: usize = 4 << 20;
/// Entries that are asked for at once; every forge gives as many.
pub const PAGE: usize = 50;
/// Pages that are read; a commit has never had so many checks.
const PAGES: usize = 20;

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// Worth asking again.
    NotNow(String),
    /// Somebody has to change something first.
    Never(String),
}

impl<T> From<Trouble> for Told<T> {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotNow(why) => Self::NotNow(why),
            Trouble::Never(why) => Self::Never(why),
        }
    }
}

/// Asks other machines.
pub struct Web {
    client: Client,
    token: Option<String>,
}

impl Web {
    /// With a token for the forge.
    pub fn new(token: Option<String>) -> Result<Self, Cause> {
        // A redirection would carry the token elsewhere.
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent("tsh-agent")
            .build()
            .map_err(|error| Cause::new(format!("cannot make HTTP requests: {error}")))?;
        Ok(Self { client, token })
    }

    /// A document in JSON, without the token.
    pub async fn get(&self, url: &str) -> Result<Value, Trouble> {
        self.send(url, self.client.get(url)).await
    }

    /// What the forge answers.
    pub async fn ask(&self, forge: &ForgeApi, path: &str) -> Result<Value, Trouble> {
        let url = format!("{}/{path}", forge.api);
        let mut request = self.client.get(&url);
        request = match (forge.kind, &self.token) {
            (Forge::Github, _) => {
                request.header("Accept", "application/vnd.github+json").header("X-GitHub-Api-Version", "2022-11-28")
            }
            _ => request,
        };
        request = match (forge.kind, &self.token) {
            (_, None) => request,
            (Forge::Github, Some(token)) => request.bearer_auth(token),
            (Forge::Gitlab, Some(token)) => request.header("PRIVATE-TOKEN", token),
            (Forge::Gitea, Some(token)) => request.header("Authorization", format!("token {token}")),
        };
        self.send(&url, request).await
    }

    /// All pages of a list; `list` finds it in a page.
    pub async fn all(
        &self,
        forge: &ForgeApi,
        path: &str,
        size: &str,
        list: impl Fn(&Value) -> Option<&Vec<Value>>,
    ) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let with = if path.contains('?') { '&' } else { '?' };
            let answer = self.ask(forge, &format!("{path}{with}{size}={PAGE}&page={page}")).await?;
            let Some(items) = list(&answer) else {
                return Err(Trouble::NotNow(format!("the forge's answer about {path} is not understood")));
            };
            all.extend(items.iter().cloned());
            if items.len() < PAGE {
                return Ok(all);
            }
        }
        Err(Trouble::Never(format!("the forge has more than {} entries about {path}", PAGE * PAGES)))
    }

    async fn send(&self, url: &str, request: reqwest::RequestBuilder) -> Result<Value, Trouble> {
        let mut response = request.send().await.map_err(|error| Trouble::NotNow(format!("{url}: {}", root(&error))))?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let limited = header("x-ratelimit-remaining").as_deref() == Some("0") || header("retry-after").is_some();
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| Trouble::NotNow(format!("{url}: {}", root(&error))))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(Trouble::NotNow(format!("{url}: the answer is too long")));
            }
        }
        if !status.is_success() {
            return Err(refused(url, status, limited, &body));
        }
        serde_json::from_slice(&body).map_err(|_| Trouble::NotNow(format!("{url}: the answer is not JSON")))
    }
}

/// What a status that is no success means for asking again.
fn refused(url: &str, status: StatusCode, limited: bool, body: &[u8]) -> Trouble {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let said: String = plain(said["message"].as_str().unwrap_or_default()).chars().take(120).collect();
    let said = if said.is_empty() { said } else { format!(" ({said})") };
    let what = format!("{url} answers {}{said}", status.as_u16());
    match status.as_u16() {
        403 if limited => Trouble::NotNow(what),
        // Not known yet: a forge may need a moment for a new commit.
        408 | 409 | 422 | 425 | 429 | 500.. => Trouble::NotNow(what),
        _ => Trouble::Never(what),
    }
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

/// A moment in RFC 3339, in milliseconds since 1970 (UTC); 0 where there is none.
pub fn moment(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_millisecond)
}
