//! Asking the store, and what its refusals mean to a person.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode, Url};

use super::Store;
use crate::model::journal::Cause;

/// How often something that may pass is tried.
const TRIES: u32 = 4;

impl Store {
    pub(super) async fn ask(
        &self,
        method: Method,
        what: &str,
        body: &[u8],
        headers: &[(&str, &str)],
        sign: impl Fn() -> Url,
    ) -> Result<Response, Cause> {
        let answer = self.request(method, what, body, headers, sign).await?;
        self.good(what, answer).await
    }

    /// Asks again what may pass: no answer, or "later".
    pub(super) async fn request(
        &self,
        method: Method,
        what: &str,
        body: &[u8],
        headers: &[(&str, &str)],
        sign: impl Fn() -> Url,
    ) -> Result<Response, Cause> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = self.client.request(method.clone(), sign()).body(body.to_vec());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let later =
                |status: StatusCode| status.as_u16() == 429 || (status.is_server_error() && status.as_u16() != 507);
            match request.send().await {
                Ok(answer) if tries < TRIES && later(answer.status()) => {}
                Err(_) if tries < TRIES => {}
                Ok(answer) => return Ok(answer),
                Err(error) => return Err(self.broken(what, error)),
            }
            tokio::time::sleep(Duration::from_millis(100 << (2 * tries))).await;
        }
    }

    pub(super) async fn good(&self, what: &str, answer: Response) -> Result<Response, Cause> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let field = |name: &str| {
            let rest = text.split_once(&format!("<{name}>"))?.1;
            rest.split_once('<')
                .map(|(value, _)| value.chars().filter(|c| !c.is_control()).take(200).collect::<String>())
        };
        let code = field("Code").unwrap_or_else(|| status.to_string());
        let told = field("Message").map(|message| format!(", {message}")).unwrap_or_default();
        let cause = Cause::new(format!("{} refuses {what}: {code}{told}", self.place()));
        Err(match status.as_u16() {
            401 | 403 => {
                cause.hint("offsite.credentials in the settings names the file; may they list, read and write?")
            }
            404 if code == "NoSuchKey" => {
                cause.hint("somebody took it away there; `tsh-agent backup fetch NAME` brings another backup")
            }
            404 => cause.hint("is the bucket there, and offsite.url right?"),
            _ => cause,
        })
    }

    /// Without the address, which carries a signature.
    pub(super) fn broken(&self, what: &str, error: reqwest::Error) -> Cause {
        let error = error.without_url();
        let mut why = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(deeper) = source {
            why = deeper.to_string();
            source = deeper.source();
        }
        Cause::new(format!("{} cannot be reached for {what}: {why}", self.place()))
    }

    pub(super) fn strange(&self, what: &str, error: &dyn std::fmt::Display) -> Cause {
        Cause::new(format!("{} answers {what} with something that is not S3: {error}", self.place()))
    }
}
