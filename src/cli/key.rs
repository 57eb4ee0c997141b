//! `tsh-agent key`.

use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::init::{hook, machine};
use crate::model::key::Allow;
use crate::model::names::{App, KeyName};
use crate::model::outcome::Exit;

/// Keys with which programs, such as a CI job, ask for deployments and how they ended.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Make a key, as root, and print it. It is not kept here, so it is not shown again.
#[derive(Debug, clap::Args)]
struct Add {
    /// Its name.
    name: KeyName,
    /// The application it is for; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// What it may do: deploy, read, or both.
    #[arg(long, value_delimiter = ',', required = true, value_name = "WHAT")]
    allow: Vec<Allow>,
}

/// List the keys, what each may do, and when it was last used.
#[derive(Debug, clap::Args)]
struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Remove a key, as root. What it asked for goes on.
#[derive(Debug, clap::Args)]
struct Remove {
    /// Its name.
    name: KeyName,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    match args.verb {
        Verb::Add(Add { name, app, allow }) => {
            let app = which::app(&client, app).await?;
            let key = client.add_key(&name, &app, &allow).await?;
            say::out(&format!("{key}\n"));
            // The key is made; whoever cannot do this is root without systemd, which does not run here.
            let listening = machine::run(&["systemctl", "--quiet", "enable", "--now", hook::SOCKET], "");
            listening.map_err(|failure| Failure::new(Exit::Untouched, format!("the key is made, but {failure}")))?;
            say::err("keep it where only the program finds it: it is not shown again\n");
        }
        Verb::List(List { json }) => {
            let keys = client.keys().await?;
            if json {
                return say_json(&keys);
            }
            say::out(&render::key::keys(&keys, &terminal::look(&std::io::stdout())));
        }
        Verb::Remove(Remove { name }) => {
            client.remove_key(&name).await?;
            say::out(&format!("key {name} opens nothing any more\n"));
        }
    }
    Ok(Exit::Good)
}
