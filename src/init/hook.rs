//! What the network face and a forge have to know of each other.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::machine::Failure;
use super::{Generated, heading};
use crate::config::Settings;
use crate::model::names::App;
use crate::model::push::Hook;
use crate::model::trigger::Forge;

/// The service that answers.
pub const SERVICE: &str = "tsh-agent-webhook.service";
/// The socket on which it does.
pub const SOCKET: &str = "tsh-agent-webhook.socket";

/// What nginx needs, in a server block.
pub const NGINX: &str = "    location /v1/ {
        proxy_pass http://unix:/run/tsh-agent-webhook.sock;
        client_max_body_size 1m;
        proxy_read_timeout 75s;
    }
";

/// Where it is.
#[must_use]
pub fn path(app: &App) -> PathBuf {
    format!("/etc/tsh-agent/credentials/{app}.webhook").into()
}

/// The file as it is now.
///
/// # Errors
/// It cannot be read, or is not one.
pub fn read(path: &Path) -> Result<Option<Hook>, Failure> {
    let failed = |why: String| Failure::new(format!("read {}", path.display()), why);
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| failed(error.to_string()))?,
    };
    // serde would quote what it cannot read, and this is a secret.
    serde_json::from_str(&text).map(Some).map_err(|error| failed(format!("line {} is not understood", error.line())))
}

/// The file as it should be, with this secret or a new one; nothing if no webhooks are taken.
///
/// # Errors
/// The system has no randomness.
pub fn credential(settings: &Settings, secret: Option<String>) -> Result<Option<Generated>, Failure> {
    let Some(forge) = settings.push.webhook else { return Ok(None) };
    let secret = match secret {
        Some(secret) => secret,
        None => fresh().map_err(|error| Failure::new("make a secret", error))?,
    };
    let (repository, branch) = (settings.push.repository.clone(), settings.source.branch.clone());
    let hook = Hook { forge, repository, branch, secret };
    let text = serde_json::to_string_pretty(&hook).map_err(|error| Failure::new("write the secret", error))?;
    Ok(Some(Generated { path: path(&settings.app), text: text + "\n", mode: 0o600 }))
}

/// 256 random bits. In this form GitLab takes it as a signing token; for others it is a text like any other.
fn fresh() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// Hands the file to the service; nothing if no webhooks are taken.
#[must_use]
pub fn drop_in(settings: &Settings) -> Option<Generated> {
    let app = &settings.app;
    settings.push.webhook?;
    let text = format!("{}[Service]\nLoadCredential={app}:{}\n", heading("#", app), path(app).display());
    Some(Generated::new(drop_in_path(app), text))
}

/// Where that stands.
#[must_use]
pub fn drop_in_path(app: &App) -> String {
    format!("/etc/systemd/system/{SERVICE}.d/60-{app}.conf")
}

/// What a person enters at the forge, name and value.
#[must_use]
pub fn instructions(app: &App, hook: &Hook) -> Vec<(&'static str, String)> {
    let events = match hook.forge {
        Forge::Github => "just the push event; content type application/json",
        Forge::Gitlab => "push events, as the secret token or, better, as the signing token",
        Forge::Gitea => "push events; POST, application/json",
    };
    vec![
        ("forge", hook.forge.word().to_owned()),
        ("repository", hook.repository.clone()),
        ("branch", hook.branch.clone()),
        ("url", format!("https://YOUR-SERVER/v1/hooks/{app}")),
        ("secret", hook.secret.clone()),
        ("events", events.to_owned()),
    ]
}
