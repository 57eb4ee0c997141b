//! `tsh-agent webhook`.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, say, say_json};
use crate::init::hook;
use crate::init::machine;
use crate::logging::{self, Logger};
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::model::push::Hook;
use crate::webhook::{Face, serve};

/// Show what to enter at the forge, or make a new secret. Root's.
///
/// The face itself answers on a socket, /run/tsh-agent-webhook.sock, and nginx lets the world reach it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Show(Show),
    Rotate(Rotate),
    #[command(hide = true)]
    Serve,
}

/// Print the path, the secret and the events for the forge's settings, and the lines for nginx.
#[derive(Debug, clap::Args)]
struct Show {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Make a new secret. Until it is entered at the forge, its webhooks are refused; polling makes good for them.
#[derive(Debug, clap::Args)]
struct Rotate {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Serve => face().await,
        Verb::Show(Show { app, json }) => show(app, json),
        Verb::Rotate(Rotate { app }) => {
            let app = which(app)?;
            let settings = crate::config::load(&app).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
            let file = hook::credential(&settings, None).map_err(failed)?.ok_or_else(|| off(&app))?;
            machine::write(&file).map_err(failed)?;
            machine::run(&["systemctl", "try-restart", hook::SERVICE], "").map_err(failed)?;
            show(Some(app), false)
        }
    }
}

fn failed(failure: machine::Failure) -> Failure {
    Failure::new(Exit::Untouched, failure.to_string())
}

fn off(app: &App) -> Failure {
    let file = crate::paths::settings(app);
    Failure::new(Exit::Untouched, format!("{app} takes no webhooks"))
        .hint(format!("set push.webhook in {}, then `tsh-agent init {app}`", file.display()))
}

fn which(app: Option<App>) -> Result<App, Failure> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(Failure::new(Exit::Usage, "the secret is root's alone: sudo tsh-agent webhook …"));
    }
    let usage = |error: crate::config::ConfigError| Failure::new(Exit::Usage, error.to_string());
    app.map_or_else(|| super::which::only(crate::config::apps().map_err(usage)?), Ok)
}

fn show(app: Option<App>, json: bool) -> Result<Exit, Failure> {
    let app = which(app)?;
    let path = hook::path(&app);
    let hook = hook::read(&path).map_err(failed)?.ok_or_else(|| off(&app))?;
    let lines = hook::instructions(&app, &hook);
    if json {
        return say_json(&fields(&lines));
    }
    for (name, value) in &lines {
        say::out(&format!("{:<14}{value}\n", format!("{name}:")));
    }
    say::out(&format!("\nnginx lets the forge in, in a server block with TLS:\n\n{}", hook::NGINX));
    Ok(Exit::Good)
}

/// What `--json` prints.
pub(super) fn fields<'a>(lines: &'a [(&'static str, String)]) -> BTreeMap<&'static str, &'a str> {
    lines.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// The service: the socket is its standard input, and each application's file a credential.
async fn face() -> Result<Exit, Failure> {
    logging::init(Logger::Service);
    let failed = |what: String| Failure::new(Exit::Untouched, what);
    let hooks = match std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) {
        Some(folder) => hooks(&folder)?,
        None => HashMap::new(),
    };
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    let listener = socket.and_then(|socket| {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    });
    let listener = listener.map_err(|error| failed(format!("standard input is not a socket that listens: {error}")))?;
    serve(listener, Arc::new(Face::new(hooks, None))).await;
    Ok(Exit::Good)
}

/// What systemd handed over: a file for each application that takes webhooks.
fn hooks(folder: &Path) -> Result<HashMap<App, Hook>, Failure> {
    let failed = |path: &Path, why: &dyn std::fmt::Display| {
        Failure::new(Exit::Untouched, format!("the webhooks in {}: {why}", path.display()))
    };
    let mut hooks = HashMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let app = name.parse::<App>().map_err(|bad| failed(&path, &bad))?;
        if let Some(hook) = hook::read(&path).map_err(|failure| failed(&path, &failure))? {
            hooks.insert(app, hook);
        }
    }
    Ok(hooks)
}
