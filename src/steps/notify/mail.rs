//! Mail through the local `sendmail`. It usually runs with rights of its own (setgid, setuid), which nothing in a step's
//! sandbox can get; so the letter goes into a socket of systemd, which starts sendmail outside of it, with fixed arguments.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Told, words};

/// Where systemd takes letters: `tsh-mail.socket`.
pub(super) const SOCKET: &str = "/run/tsh-mail.sock";
/// What `tsh-mail@.service` says when sendmail has taken the letter.
const ACCEPTED: &str = "accepted";
/// Nobody has more to say about one letter.
const LARGEST: u64 = 16 << 10;

/// The letter. Everything in its headers comes from the settings or is made here; what others wrote is in the body.
pub(super) fn letter(told: &Told<'_>, to: &[String], from: Option<&str>) -> String {
    let from = from.map(|from| format!("From: {from}\n")).unwrap_or_default();
    format!(
        "{from}To: {}\nSubject: [{}] {}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}\n\n{}\n",
        to.join(", "),
        told.environment,
        // Who asked is a name of this server's.
        told.sentence().replace(|c: char| c.is_control(), " "),
        told.sentence(),
        words::body(told)
    )
}

/// Hands it over, and believes only a word that it was taken.
pub(super) async fn hand_over(socket: &Path, letter: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    let mut stream = UnixStream::connect(socket).await.map_err(|error| {
        format!("{}; `systemctl enable --now tsh-mail.socket`, and is a program sendmail installed?", failed(error))
    })?;
    stream.write_all(letter.as_bytes()).await.map_err(failed)?;
    stream.shutdown().await.map_err(failed)?;
    let mut said = String::new();
    stream.take(LARGEST).read_to_string(&mut said).await.map_err(failed)?;
    match said.trim() {
        ACCEPTED => Ok(()),
        "" => Err("sendmail did not take it".to_owned()),
        said => Err(format!("sendmail did not take it: {said}")),
    }
}
