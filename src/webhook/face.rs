//! What is done with one request: who sends it, what it means, tell the core.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, Uri};
use serde_json::json;

use super::crowd::Crowd;
use super::limited::{Limited, Say};
use super::route::{Route, body_length, route};
use super::{Meaning, Refused, meaning, verify};
use crate::api::client::{Client, Error};
use crate::api::{Kind, Refusal};
use crate::events::Event;
use crate::model::names::App;
use crate::model::push::{Hint, Hook};

/// A status and a small JSON.
pub type Answer = (StatusCode, serde_json::Value);

/// All that the face knows and has.
pub struct Face {
    hooks: HashMap<App, Hook>,
    /// The address of the bus; the system's if there is none.
    bus: Option<String>,
    client: tokio::sync::Mutex<Option<Client>>,
    limited: Mutex<Limited>,
    pub(super) crowd: Crowd,
}

impl Face {
    /// A face for these applications.
    #[must_use]
    pub fn new(hooks: HashMap<App, Hook>, bus: Option<String>) -> Self {
        let (client, limited) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { hooks, bus, client, limited, crowd: Crowd::default() }
    }

    /// Whether the request is worth reading its body, and how long that is.
    pub(super) fn look(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(Route, usize), Refused> {
        let route = route(method, uri)?;
        let Route::Hook(app) = &route;
        if !self.hooks.contains_key(app) {
            return Err(Refused::new(StatusCode::NOT_FOUND, "there is nothing here"));
        }
        Ok((route, body_length(headers)?))
    }

    /// Answers a request that was read.
    pub(super) async fn answer(&self, route: &Route, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refused> {
        let Route::Hook(app) = route;
        let hook = self.hooks.get(app).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "there is nothing here"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let delivery = verify(hook, headers, body, i64::try_from(now).unwrap_or(i64::MAX))?;
        match meaning(hook, headers, body, delivery)? {
            Meaning::Push(hint) => {
                let id = self.tell(app, &hint).await?;
                Ok((StatusCode::ACCEPTED, json!({ "push": id })))
            }
            Meaning::Ping => Ok((StatusCode::OK, json!({ "pong": true }))),
            Meaning::Other(why) => Ok((StatusCode::OK, json!({ "ignored": why }))),
        }
    }

    /// Tells the core. When this returns, it is durable.
    async fn tell(&self, app: &App, hint: &Hint) -> Result<u32, Refused> {
        let mut held = self.client.lock().await;
        let client = match held.take() {
            Some(client) => client,
            None => Client::connect(self.bus.clone()).await.map_err(away)?,
        };
        match client.push(app, hint).await {
            Ok(id) => {
                *held = Some(client);
                Ok(id)
            }
            Err(Error::Refused(refusal)) => {
                *held = Some(client);
                Err(refused(&refusal))
            }
            // The next one connects again.
            Err(error) => Err(away(error)),
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
        _ => Refused::forbidden(refusal.what.clone()),
    }
}

fn away(error: Error) -> Refused {
    unavailable(&error.to_string())
}

fn unavailable(why: &str) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, format!("it could not be noted: {why}"))
}
