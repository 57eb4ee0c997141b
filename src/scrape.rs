//! What a monitoring system gets that asks over the local socket: one request for each connection, which systemd has
//! accepted, and the numbers as text.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;

use crate::api::client::{Client, Error};
use crate::model::metrics::{self, Format};

/// Time for the head of the request to arrive.
const READ: Duration = Duration::from_secs(5);
/// Time for all of it; Prometheus gives up after ten seconds by itself.
const ALL: Duration = Duration::from_secs(15);
/// Prometheus sends six short headers.
const HEADERS: usize = 32;
const HEADER_BYTES: usize = 8 << 10;
const BUFFER: usize = 16 << 10;
/// As the specification names it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers the one request on this connection. Who asks wrongly or slowly has the answer to that, or none; neither is an
/// error here.
pub async fn answer(stream: UnixStream) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(respond(&request).await) });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(false)
        .half_close(true)
        .header_read_timeout(READ)
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(BUFFER);
    // The connection is all that there is: when it is over, so is the program.
    let _ = tokio::time::timeout(ALL, http.serve_connection(TokioIo::new(stream), service)).await;
}

async fn respond(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if let Some(refused) = refused(request) {
        return refused;
    }
    match numbers().await {
        Ok(text) => response(StatusCode::OK, OPENMETRICS, text),
        Err(error) => {
            tracing::warn!("a monitoring system gets no numbers: {error}");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the agent does not answer: systemctl status tsh-agent\n")
        }
    }
}

async fn numbers() -> Result<String, Error> {
    let view = Client::connect(None).await?.metrics().await?;
    Ok(metrics::text(&view, Format::OpenMetrics))
}

/// The answer to what is no request for the numbers. A body is never read.
fn refused(request: &Request<impl Body>) -> Option<Response<Full<Bytes>>> {
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET alone\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return Some(response);
    }
    if request.uri().path() != "/metrics" {
        return Some(plain(StatusCode::NOT_FOUND, "the numbers are in /metrics\n"));
    }
    (!request.body().is_end_stream()).then(|| plain(StatusCode::BAD_REQUEST, "there is nothing to send here\n"))
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
