//! How a migration reaches the database, and what is asked of PostgreSQL about the agent's roles.

use std::path::PathBuf;

use super::compose::Tool;
use super::{Generated, machine};
use crate::model::names::App;

/// A query whose answer changes whenever the agent's roles or their rights do: `init` asks before and after.
pub const STATE: &str = "\
select md5(coalesce(string_agg(line, e'\\n' order by line), '')) from (
    select concat_ws(' ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolconfig)
      from pg_roles where rolname like 'tsh-agent%'
    union all
    select concat_ws(' ', 'member', roleid::regrole, member::regrole)
      from pg_auth_members where member in (select oid from pg_roles where rolname like 'tsh-agent%')
    union all
    select concat_ws(' ', 'set', setdatabase, setrole::regrole, setconfig)
      from pg_db_role_setting where setrole in (select oid from pg_roles where rolname like 'tsh-agent%')
    union all
    select concat_ws(' ', 'database', datname, datacl) from pg_database
) as state (line)
";

/// Where the environment of the application stands; PID 1 reads it.
#[must_use]
pub fn app_environment(app: &App) -> PathBuf {
    format!("/etc/tsh-agent/apps/{app}.env").into()
}

/// Where what a migration has beside it stands.
#[must_use]
pub fn migration_path(app: &App) -> PathBuf {
    format!("/etc/tsh-agent/apps/{app}.migrate.env").into()
}

/// What a migration has beside the application's environment: the same database, through the socket, as the migration's
/// role. There is no password in it, but it stands among files that have some, so it is root's alone.
#[must_use]
pub fn migration_environment(app: &App, database: &str, scheme: Option<&str>) -> Generated {
    let scheme = scheme.unwrap_or("postgresql");
    let text = format!(
        "# Written by `tsh-agent init {app}` once; it is yours now. Migrations see it on top of {app}.env.\n\
         DATABASE_URL={scheme}://tsh-agent-migrate@/{database}?host=/run/postgresql\n"
    );
    Generated { mode: 0o600, ..Generated::new(migration_path(app), text) }
}

/// The scheme of `DATABASE_URL` in a file of the environment, for example `postgresql+psycopg`: it chooses the driver.
#[must_use]
pub fn scheme(environment: &str) -> Option<&str> {
    let value = environment.lines().rev().find_map(|line| line.trim().strip_prefix("DATABASE_URL="))?;
    let (scheme, _) = value.trim_start_matches(['"', '\'']).split_once("://")?;
    let valid = scheme.starts_with("postgres") && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+');
    valid.then_some(scheme)
}

/// The port in `DATABASE_URL` of a file of the environment, if that names a PostgreSQL on this server: of the place, or
/// of `?port=`, or PostgreSQL's own.
#[must_use]
pub fn port(environment: &str) -> Option<u16> {
    let value = environment.lines().rev().find_map(|line| line.trim().strip_prefix("DATABASE_URL="))?;
    let (scheme, rest) = value.trim().trim_matches(['"', '\'']).split_once("://")?;
    let (place, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let asked = |key: &str| {
        let pairs = rest.split_once('?')?.1.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back()
    };
    let host = asked("host").unwrap_or(host);
    let here = matches!(host, "" | "localhost" | "127.0.0.1" | "[::1]" | "::1") || host.starts_with(['/', '%']);
    if !scheme.starts_with("postgres") || !here {
        return None;
    }
    asked("port").or(port).map_or(Some(5432), |port| port.parse().ok())
}

/// Who owns a database, and which tool's table of revisions is in it; as the superuser, through the socket.
#[must_use]
pub fn ask(name: &str) -> (Option<String>, Option<Tool>) {
    // What could be more than a name to psql is none of ours.
    if name.is_empty()
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        || name.starts_with('-')
    {
        return (None, None);
    }
    let psql = |database: &str, sql: &str| {
        let name = format!("name={name}");
        let argv = ["runuser", "-u", "postgres", "--", "psql", "-XqAt", "-v", &name, "-d", database];
        machine::run(&argv, sql).unwrap_or_default().trim().to_owned()
    };
    let owner = psql("postgres", "select pg_get_userbyid(datdba) from pg_database where datname = :'name'");
    if owner.is_empty() {
        return (None, None);
    }
    let tables =
        psql(name, "select to_regclass('alembic_version') is not null, to_regclass('django_migrations') is not null");
    let tool = match tables.as_str() {
        "t|f" => Some(Tool::Alembic),
        "f|t" => Some(Tool::Django),
        _ => None,
    };
    (Some(owner), tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_kept_and_nothing_else() {
        assert_eq!(scheme("A=1\nDATABASE_URL=postgresql+psycopg://u:secret@h/d\n"), Some("postgresql+psycopg"));
        assert_eq!(scheme("DATABASE_URL=\"postgres://u@h/d\""), Some("postgres"));
        assert_eq!(scheme("DATABASE_URL=sqlite:///x"), None);
        assert_eq!(scheme("#DATABASE_URL=postgresql://x"), None);
        assert_eq!(scheme("DATABASE_URL=postgresql://old\nDATABASE_URL=postgres://new"), Some("postgres"));
        assert_eq!(scheme("DATABASE_URL=secret"), None);
    }

    #[test]
    fn the_port_of_a_database_here() {
        assert_eq!(port("A=1\nDATABASE_URL=postgresql+psycopg://u:s:e@127.0.0.1:6432/d?sslmode=disable\n"), Some(6432));
        assert_eq!(port("DATABASE_URL=\"postgres://u@localhost/d\""), Some(5432));
        assert_eq!(port("DATABASE_URL=postgres://u@[::1]:6432/d"), Some(6432));
        assert_eq!(port("DATABASE_URL=postgres://u@[::1]/d"), Some(5432));
        assert_eq!(port("DATABASE_URL=postgresql://u:p@/d?host=/run/postgresql&port=6432"), Some(6432));
        assert_eq!(port("DATABASE_URL=postgresql://u:p@db.example.org:6432/d"), None, "it is not on this server");
        assert_eq!(port("DATABASE_URL=postgresql://u:p@/d?host=db.example.org"), None);
        assert_eq!(port("DATABASE_URL=sqlite:///x"), None);
        assert_eq!(port("#DATABASE_URL=postgresql://x"), None);
    }
}
