//! What a request asks for, from its first line and headers.

use std::str::FromStr;
use std::time::Duration;

use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::Refused;
use super::verify::one;
use crate::model::key::Asked;
use crate::model::names::{App, DeploymentId};

/// The largest body that is read. A push is some kilobytes; GitHub sends up to 25 MB, and what is larger than this is
/// found by polling.
pub const LARGEST: usize = 1 << 20;

/// The largest body of a program's, which names one commit.
const SMALL: usize = 1 << 10;
/// The longest that a question is kept open: nginx and others lose patience after a minute.
const LONGEST: Duration = Duration::from_secs(50);

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// A webhook for this application.
    Hook(App),
    /// A program asks for a commit of this application.
    Deploy(App),
    /// A program asks how something is, and would wait so long for its end.
    Answer(Asked, Duration),
}

impl Route {
    /// The application, where the address names it.
    pub fn app(&self) -> Option<&App> {
        match self {
            Self::Hook(app) | Self::Deploy(app) => Some(app),
            Self::Answer(..) => None,
        }
    }
}

/// The route of a request.
///
/// # Errors
/// If there is nothing of that kind here.
pub fn route(method: &Method, uri: &Uri) -> Result<Route, Refused> {
    let nothing = || Refused::new(StatusCode::NOT_FOUND, "there is nothing here");
    let parts: Vec<&str> = uri.path().split('/').collect();
    match (parts.as_slice(), uri.query()) {
        (["", "v1", "hooks", app], None) => {
            let app = App::from_str(app).map_err(|_| nothing())?;
            only(method, &Method::POST)?;
            Ok(Route::Hook(app))
        }
        (["", "v1", "apps", app, "deployments"], None) => {
            let app = App::from_str(app).map_err(|_| nothing())?;
            only(method, &Method::POST)?;
            Ok(Route::Deploy(app))
        }
        (["", "v1", kind @ ("requests" | "deployments"), number], query) => {
            let number = digits(number).and_then(|number| number.parse().ok()).ok_or_else(nothing)?;
            let what =
                if *kind == "requests" { Asked::Request(number) } else { Asked::Deployment(DeploymentId(number)) };
            let wait = match query.map(|query| query.strip_prefix("wait=").and_then(digits)) {
                None => 0,
                Some(wait) => wait.and_then(|wait| wait.parse().ok()).ok_or_else(nothing)?,
            };
            only(method, &Method::GET)?;
            Ok(Route::Answer(what, Duration::from_secs(wait).min(LONGEST)))
        }
        _ => Err(nothing()),
    }
}

/// Digits and nothing else, few enough for a number.
fn digits(text: &str) -> Option<&str> {
    ((1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// The key that a program shows.
///
/// # Errors
/// If there is none.
pub fn key(headers: &HeaderMap) -> Result<&str, Refused> {
    let missing = || Refused::new(StatusCode::UNAUTHORIZED, "a key is missing: Authorization: Bearer KEY");
    let given = one(headers, AUTHORIZATION.as_str())?.ok_or_else(missing)?;
    let (scheme, key) = given.split_once(' ').ok_or_else(missing)?;
    let plain = !key.is_empty() && key.len() <= 100 && key.bytes().all(|b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && plain { Ok(key) } else { Err(missing()) }
}

fn only(method: &Method, wanted: &Method) -> Result<(), Refused> {
    let other = || Refused::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {wanted} is answered here"));
    (method == wanted).then_some(()).ok_or_else(other)
}

/// How long the body is, if it is one that can be read in one way only.
///
/// # Errors
/// If it is compressed, in chunks, too large, or not said to be JSON.
pub fn body_length(route: &Route, headers: &HeaderMap) -> Result<usize, Refused> {
    // A body whose length is told beforehand cannot be smuggled, and needs no more memory than it says.
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refused::new(StatusCode::LENGTH_REQUIRED, "a body in chunks is not taken"));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a compressed body is not taken"));
    }
    if headers.contains_key(UPGRADE) {
        return Err(Refused::bad("there is no other protocol here"));
    }
    if one(headers, EXPECT.as_str())?.is_some_and(|expect| !expect.eq_ignore_ascii_case("100-continue")) {
        return Err(Refused::new(StatusCode::EXPECTATION_FAILED, "that cannot be expected"));
    }
    if let Route::Answer(..) = route {
        return match one(headers, CONTENT_LENGTH.as_str())? {
            None | Some("0") => Ok(0),
            Some(_) => Err(Refused::bad("a question has no body")),
        };
    }
    let largest = if let Route::Hook(_) = route { LARGEST } else { SMALL };
    let length = one(headers, CONTENT_LENGTH.as_str())?
        .ok_or_else(|| Refused::new(StatusCode::LENGTH_REQUIRED, "the length of the body is missing"))?;
    let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: usize = length.parse().ok().filter(|_| plain).ok_or_else(too_large)?;
    if length > largest {
        return Err(too_large());
    }
    let kind = one(headers, CONTENT_TYPE.as_str())?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only application/json is taken"));
    }
    Ok(length)
}

pub fn too_large() -> Refused {
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than is taken")
}
