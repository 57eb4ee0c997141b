//! What is done with one request: who sends it, what it means, tell the core.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::crowd::Crowd;
use super::limited::{Limited, Say};
use super::route::{Route, body_length, key, route};
use super::{Meaning, Refused, meaning, strict, verify};
use crate::api::client::{Client, Error};
use crate::api::{Kind, Refusal};
use crate::events::Event;
use crate::model::key::Asked;
use crate::model::names::{App, Sha};
use crate::model::push::Hook;

/// So many may wait for the end of something at once.
const WAITING: usize = 64;

/// A status and a small JSON.
pub type Answer = (StatusCode, serde_json::Value);

/// All that the face knows and has.
pub struct Face {
    hooks: HashMap<App, Hook>,
    /// The address of the bus; the system's if there is none.
    bus: Option<String>,
    client: tokio::sync::Mutex<Option<Arc<Client>>>,
    /// Places for those who wait for the end of something.
    waiting: Semaphore,
    limited: Mutex<Limited>,
    pub(super) crowd: Crowd,
}

impl Face {
    /// A face for these applications.
    #[must_use]
    pub fn new(hooks: HashMap<App, Hook>, bus: Option<String>) -> Self {
        let (client, limited) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { hooks, bus, client, limited, waiting: Semaphore::new(WAITING), crowd: Crowd::default() }
    }

    /// Whether the request is worth reading its body, and how long that is.
    pub(super) fn look(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(Route, usize), Refused> {
        let route = route(method, uri)?;
        match &route {
            Route::Hook(app) => drop(self.hook(app)?),
            Route::Deploy(_) | Route::Answer(..) => drop(key(headers)?),
        }
        let length = body_length(&route, headers)?;
        Ok((route, length))
    }

    fn hook(&self, app: &App) -> Result<&Hook, Refused> {
        self.hooks.get(app).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "there is nothing here"))
    }

    /// Answers a request that was read.
    pub(super) async fn answer(&self, route: &Route, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refused> {
        match route {
            Route::Hook(app) => self.hooked(app, headers, body).await,
            Route::Deploy(app) => {
                let (key, wanted) = (key(headers)?, read(body)?);
                let answer = self.client().await?.request(key, app, &wanted.revision).await;
                let answer = self.said(answer).await?;
                Ok((StatusCode::ACCEPTED, json!(answer)))
            }
            Route::Answer(what, wait) => self.wait(key(headers)?, *what, *wait).await,
        }
    }

    async fn hooked(&self, app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refused> {
        let hook = self.hook(app)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let delivery = verify(hook, headers, body, i64::try_from(now).unwrap_or(i64::MAX))?;
        match meaning(hook, headers, body, delivery)? {
            Meaning::Push(hint) => {
                // When this returns, it is durable.
                let id = self.client().await?.push(app, &hint).await;
                let id = self.said(id).await?;
                Ok((StatusCode::ACCEPTED, json!({ "push": id })))
            }
            Meaning::Ping => Ok((StatusCode::OK, json!({ "pong": true }))),
            Meaning::Other(why) => Ok((StatusCode::OK, json!({ "ignored": why }))),
        }
    }

    /// Asks again and again until it has ended or the time is over. If many wait already, it is asked once.
    async fn wait(&self, key: &str, what: Asked, wait: Duration) -> Result<Answer, Refused> {
        let place = self.waiting.try_acquire().ok();
        let end = Instant::now() + if place.is_some() { wait } else { Duration::ZERO };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let answer = self.client().await?.answer(key, what, left).await;
            let answer = self.said(answer).await?;
            if answer.ended || Instant::now() >= end {
                return Ok((StatusCode::OK, json!(answer)));
            }
        }
    }

    /// The connection to the core, which is kept.
    async fn client(&self) -> Result<Arc<Client>, Refused> {
        let mut held = self.client.lock().await;
        if let Some(client) = held.as_ref() {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::connect(self.bus.clone()).await.map_err(|error| away(&error))?);
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    /// What the core said, for whoever asked.
    async fn said<T>(&self, answer: Result<T, Error>) -> Result<T, Refused> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(Error::Refused(refusal)) => Err(refused(&refusal)),
            Err(error) => {
                // The next one connects again.
                *self.client.lock().await = None;
                Err(away(&error))
            }
        }
    }

    /// Says in the journal that a request was refused, unless there were many already.
    pub(super) fn note(&self, refused: &Refused, app: Option<&App>) {
        let say = self.limited.lock().unwrap_or_else(PoisonError::into_inner).one_more(Instant::now());
        let Say::Line(before) = say else { return };
        if before > 0 {
            tracing::warn!("{before} more requests were refused, without a line of their own");
        }
        let (id, code) = (Event::RequestRefused.id(), refused.status.as_u16());
        match app {
            Some(app) => {
                tracing::warn!(tsh_app = %app, message_id = id, "a request for {app} was refused ({code}): {refused}")
            }
            None => tracing::warn!(message_id = id, "a request was refused ({code}): {refused}"),
        }
    }
}

/// The core says no. Why is for the journal of this server.
fn refused(refusal: &Refusal) -> Refused {
    match refusal.kind {
        Kind::Internal | Kind::Configuration => unavailable(&refusal.what),
        Kind::Denied => Refused::new(StatusCode::UNAUTHORIZED, refusal.what.clone()),
        _ => Refused::forbidden(refusal.what.clone()),
    }
}

fn away(error: &Error) -> Refused {
    unavailable(&error.to_string())
}

fn unavailable(why: &str) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, format!("it could not be noted: {why}"))
}

/// What a program asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    revision: Sha,
}

fn read(body: &[u8]) -> Result<Wanted, Refused> {
    let read = strict::check(body).and_then(|()| serde_json::from_slice(body));
    read.map_err(|_| Refused::bad("the body is not {\"revision\": \"40 hexadecimal digits\"}"))
}
