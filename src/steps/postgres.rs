//! PostgreSQL's own programs, of exactly the server's major version: an older one refuses, and a newer one writes what
//! an older one cannot read.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::journal::Cause;

/// Where a program for this server is.
///
/// # Errors
/// If it is not installed.
pub fn program(server: u32, name: &str) -> Result<PathBuf, Cause> {
    let major = server / 10_000;
    let path = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/{name}"));
    if path.exists() {
        return Ok(path);
    }
    let package = if matches!(name, "initdb" | "postgres") { "postgresql" } else { "postgresql-client" };
    Err(Cause::new(format!(
        "{} is missing: the server is PostgreSQL {major}, and only its own {name} will do",
        path.display()
    ))
    .hint(format!("apt-get install {package}-{major}")))
}

/// What the program says about itself.
///
/// # Errors
/// If it cannot be started.
pub fn version_of(program: &Path) -> Result<String, Cause> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| Cause::new(format!("cannot start {}: {error}", program.display())))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A database's name as `--dbname` takes it: it would read one with an equals sign as connection parameters.
#[must_use]
pub fn connection_name(db: &str) -> String {
    format!("dbname='{}'", db.replace('\\', "\\\\").replace('\'', "\\'"))
}
