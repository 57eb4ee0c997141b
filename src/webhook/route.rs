//! What a request asks for, from its first line and headers.

use std::str::FromStr;

use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::Refused;
use super::verify::one;
use crate::model::names::App;

/// The largest body that is read. A push is some kilobytes; GitHub sends up to 25 MB, and what is larger than this is
/// found by polling.
pub const LARGEST: usize = 1 << 20;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// A webhook for this application.
    Hook(App),
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
        _ => Err(nothing()),
    }
}

fn only(method: &Method, wanted: &Method) -> Result<(), Refused> {
    let other = || Refused::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {wanted} is answered here"));
    (method == wanted).then_some(()).ok_or_else(other)
}

/// How long the body is, if it is one that can be read in one way only.
///
/// # Errors
/// If it is compressed, in chunks, too large, or not said to be JSON.
pub fn body_length(headers: &HeaderMap) -> Result<usize, Refused> {
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
    let length = one(headers, CONTENT_LENGTH.as_str())?
        .ok_or_else(|| Refused::new(StatusCode::LENGTH_REQUIRED, "the length of the body is missing"))?;
    let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let length: usize = length.parse().ok().filter(|_| plain).ok_or_else(too_large)?;
    if length > LARGEST {
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
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body of more than {} KiB is not taken", LARGEST >> 10))
}
