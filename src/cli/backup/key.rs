//! `tsh-agent backup key`: an identity for this server, which proves its backups, and one that is kept elsewhere.

use nix::unistd::Uid;

use crate::cli::{Failure, say};
use crate::init::machine::{self, Change};
use crate::init::{Generated, credentials};
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::steps::sealed::{Keys, new_identity};

/// Make the keys with which backups are encrypted, as root.
///
/// The server's identity is written where only root and the steps that prove and restore get it. The escrow identity is
/// shown once and kept nowhere here: with it, and with it alone, backups can be read when this server is gone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Make another escrow identity, also if the server has its own already.
    #[arg(long)]
    escrow: bool,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    if !Uid::effective().is_root() {
        return Err(Failure::new(Exit::Usage, "keys are root's: sudo tsh-agent backup key"));
    }
    let app = super::local_app(args.app.as_ref())?;
    let path = credentials::identity(&app);
    let cannot = |what: String| Failure::new(Exit::Untouched, what).now("no key was made");
    let (recipients, made) = if path.exists() {
        let keys = Keys::read(&path).map_err(|cause| cannot(cause.what))?;
        (keys.recipients(), false)
    } else {
        let (text, recipient) = new_identity(&format!("tsh-agent, backups of {app}"));
        let file = Generated::secret(path.clone(), text);
        let change = machine::write(&file).map_err(|failure| cannot(failure.to_string()))?;
        (vec![recipient], change == Change::Made)
    };
    let how = if made { "made" } else { "already so" };
    say::out(&format!("{how:<11} {}\n", path.display()));
    let mut all = recipients;
    if made || args.escrow {
        let (text, recipient) = new_identity(&format!("escrow of backups of {app}"));
        say::out(&format!(
            "\nThe escrow identity. Keep it off this server; it is shown once and kept nowhere:\n\n{text}\n"
        ));
        all.push(recipient);
    } else {
        say::out("An escrow identity was shown when it was made; --escrow makes another.\n");
    }
    let list = all.iter().map(|one| format!("\n    \"{one}\",")).collect::<String>();
    say::out(&format!("In [backup] of the settings, then `sudo tsh-agent init {app}`:\n\nencrypt_to = [{list}\n]\n"));
    Ok(Exit::Good)
}
