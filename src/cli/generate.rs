//! `tsh-agent generate DIR`: what is installed beside the program and follows from it. For packaging.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};

use super::{Cli, Failure};
use crate::config::EXAMPLE;
use crate::model::outcome::Exit;

mod page;

/// Write completions for shells and the manual page of the settings into a folder; the package is made of them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder.
    into: PathBuf,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Untouched, format!("{}: {error}", args.into.display()));
    write(&args.into).map_err(failed)?;
    Ok(Exit::Good)
}

fn write(into: &Path) -> io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut Cli::command(), "tsh-agent", into)?;
    }
    fs::write(into.join("tsh-agent.toml.5"), page::settings(EXAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_completed_in_every_shell() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for file in ["tsh-agent.bash", "_tsh-agent", "tsh-agent.fish"] {
            let text = fs::read_to_string(folder.path().join(file)).unwrap();
            for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
                assert!(text.contains(verb.get_name()), "{file} has no {}", verb.get_name());
            }
        }
        assert!(folder.path().join("tsh-agent.toml.5").exists());
    }
}
