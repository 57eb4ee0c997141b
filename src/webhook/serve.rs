//! Connections: one request each, read within a deadline.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};

use super::route::{LARGEST, Route, too_large};
use super::{Face, Refused};

/// Time for a request to arrive, headers and body.
const READ: Duration = Duration::from_secs(10);
/// Time for its answer.
const ANSWER: Duration = Duration::from_secs(75);
/// A forge sends some fifteen short headers.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 << 10;
const BUFFER: usize = 32 << 10;

/// Answers until the program ends.
pub async fn serve(listener: UnixListener, face: Arc<Face>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&face)));
            }
            Err(error) => {
                tracing::warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, face: Arc<Face>) {
    let place = face.crowd.enter();
    let id = place.id;
    let service = service_fn(|request| {
        let face = Arc::clone(&face);
        async move { Ok::<_, Infallible>(respond(&face, request, id).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(false)
        // Who has said everything may say so.
        .half_close(true)
        .header_read_timeout(READ)
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(BUFFER);
    let mut talk = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What a sender does wrong on the wire is its own affair; hyper has answered it, if that was possible.
        _ = &mut talk => {}
        over = tokio::time::timeout(READ, place.over) => {
            if let Ok(Ok(())) = over {
                let _ = tokio::time::timeout(ANSWER, talk).await;
            }
        }
    }
    face.crowd.leave(id);
}

async fn respond(face: &Face, request: Request<Incoming>, place: u64) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let looked = face.look(&head.method, &head.uri, &head.headers);
    let app = looked.as_ref().ok().and_then(|(route, _)| route.app().cloned());
    let answer = match looked {
        Ok((route, length)) => read_and_answer(face, &route, &head.headers, body, length, place).await,
        Err(refused) => Err(refused),
    };
    match answer {
        Ok((status, json)) => response(status, &json),
        Err(refused) => {
            face.note(&refused, app.as_ref());
            response(refused.status, &serde_json::json!({ "error": refused.why }))
        }
    }
}

async fn read_and_answer(
    face: &Face,
    route: &Route,
    headers: &HeaderMap,
    body: Incoming,
    length: usize,
    place: u64,
) -> Result<super::face::Answer, Refused> {
    let body = read(body, length).await?;
    face.crowd.leave(place);
    face.answer(route, headers, &body).await
}

/// The body, which is as long as it was said to be.
async fn read(mut body: Incoming, length: usize) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::with_capacity(length.min(LARGEST));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refused::bad("the body ends too early"))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > length {
                return Err(too_large());
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

fn response(status: StatusCode, json: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{json}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    }
    response
}
