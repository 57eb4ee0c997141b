//! The roles the agent needs, made once by a person.

use super::{AGENT, MAINTENANCE, MIGRATOR, literal, quote};

/// SQL that makes the agent's roles and gives them their rights to one application's database, which belongs to role
/// `owner`. It is run as a superuser, can be run again, and once for each application.
///
/// `tsh-agent-migrate` acts as the owner from its first statement on, so that what a migration makes belongs to the
/// application; which owner that is depends on the database, so it is set for each. `tsh-agent` may end other
/// roles' sessions (`pg_signal_backend`), because a report that somebody left open would otherwise hold a deployment up;
/// it is no superuser and cannot end a superuser's.
#[must_use]
pub fn roles_sql(db: &str, owner: &str) -> String {
    let (agent, migrator, maintenance) = (quote(AGENT), quote(MIGRATOR), quote(MAINTENANCE));
    let (database, role) = (quote(db), quote(owner));
    let (agent_text, migrator_text, owner_text, db_text) =
        (literal(AGENT), literal(MIGRATOR), literal(owner), literal(db));
    format!(
        "do $roles$
begin
    if not exists (select from pg_database d where d.datname = {db_text} and pg_get_userbyid(d.datdba) = {owner_text}) then
        raise exception 'database % must exist and belong to role %', {db_text}, {owner_text};
    end if;
    if (select rolsuper from pg_roles where rolname = {owner_text}) then
        raise exception 'role % must not be a superuser: no fence keeps a superuser out', {owner_text};
    end if;
    if not exists (select from pg_roles where rolname = {migrator_text}) then
        create role {migrator};
    end if;
    if not exists (select from pg_roles where rolname = {agent_text}) then
        create role {agent};
    end if;
end
$roles$;
alter role {migrator} with login inherit nosuperuser nocreatedb nocreaterole;
alter role {migrator} set lock_timeout = '2s';
alter role {migrator} set client_connection_check_interval = '1s';
alter role {migrator} in database {database} set role = {owner_text};
alter role {agent} with login inherit createdb nosuperuser nocreaterole;
grant {role} to {migrator};
grant {role}, {migrator}, pg_signal_backend to {agent};
grant connect on database {maintenance} to {agent};
"
    )
}
