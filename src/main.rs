//! The program: starts what the command line names, and says how it ended.

use std::process::ExitCode;

use clap::Parser;
use tsh_agent::cli::{Cli, say, terminal};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            say::err(&failure.text(&terminal::look(&std::io::stderr())));
            failure.exit.into()
        }
    }
}
