//! `tsh-agent where`.

use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::gates::Reply;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Can I deploy now? Shows what every gate answers, and who can lift it.
///
/// While a deployment waits, it shows what they answer to that one. Exit code 6 if one is in the way.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    let view = client.gates(&app).await?;
    if args.json {
        say_json(&view)?;
    } else {
        say::out(&render::gates::gates(&view, &terminal::look(&std::io::stdout())));
    }
    let blocked = view.answers.iter().any(|answer| matches!(answer.reply, Reply::Wait { .. } | Reply::Refuse));
    Ok(if blocked { Exit::Refused } else { Exit::Good })
}
