//! What `init` does about the environment and the database.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::{InitError, made, tell, warn};
use crate::config::{Database, Settings};
use crate::init::database;
use crate::init::machine::{self, Change, Failure, run as command};

/// The application's secrets are root's, and a migration finds the database under its own name.
pub fn environment(settings: &Settings) -> Result<(), InitError> {
    let app = &settings.app;
    let path = database::app_environment(app);
    let shown = path.display();
    let Ok(found) = fs::metadata(&path) else {
        warn(&format!(
            "{shown} is missing: put the environment of the application there (root, 0600), then init again"
        ));
        return Ok(());
    };
    if found.uid() != 0 || found.mode() & 0o077 != 0 {
        warn(&format!("{shown} is not root's alone: chown root: {shown} && chmod 600 {shown}"));
    }
    let Some(Database { name, .. }) = &settings.database else { return Ok(()) };
    let text = fs::read_to_string(&path).map_err(|error| Failure::new(format!("read {shown}"), error))?;
    let scheme = database::scheme(&text);
    let file = database::migration_environment(app, name, scheme);
    // Only once: an application may name its database in other variables, which a person then adds.
    if file.path.exists() {
        tell(Change::AlreadySo, &file.path.display().to_string());
        return Ok(());
    }
    tell(machine::write(&file)?, &file.path.display().to_string());
    if scheme.is_none() {
        let edit = file.path.display();
        warn(&format!("{shown} has no DATABASE_URL: if the application names its database otherwise, edit {edit}"));
    }
    Ok(())
}

/// The agent's roles in PostgreSQL, with the rights that they need on this database.
pub fn roles(database: &Database) -> Result<(), InitError> {
    let psql = |sql: &str| {
        let argv =
            ["runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-1", "-d", "postgres"];
        command(&argv, sql)
    };
    let before = psql(database::STATE)?;
    psql(&crate::database::roles_sql(&database.name, &database.owner))?;
    let change = made(psql(database::STATE)? != before);
    tell(change, &format!("roles tsh-agent and tsh-agent-migrate for database {}", database.name));
    Ok(())
}
