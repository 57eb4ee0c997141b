//! What PostgreSQL ties to a database's identity and not to its content: it does not come along with a copy.

use sqlx::PgConnection;

use super::{DatabaseError, Result, ask, literal, quote};

/// Parameters whose value is a list of quoted names. Written as one constant, such a list would become one name.
const LISTS: [&str; 5] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
    "createrole_self_grant",
];

/// Settings bound to one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    owner: String,
    limit: i32,
    comment: Option<String>,
    settings: Vec<Setting>,
}

/// `ALTER DATABASE … SET` or `ALTER ROLE … IN DATABASE … SET`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Setting {
    role: Option<String>,
    name: String,
    value: String,
}

impl Bound {
    /// What is bound to `db` now.
    pub async fn read(link: &mut PgConnection, db: &str) -> Result<Self> {
        let doing = format!("read what is bound to database {db}");
        let sql = "select pg_get_userbyid(datdba)::text, datconnlimit, shobj_description(oid, 'pg_database') \
                   from pg_database where datname = $1";
        let (owner, limit, comment) = ask(&doing, sqlx::query_as(sql).bind(db).fetch_optional(&mut *link))
            .await?
            .ok_or_else(|| DatabaseError::NoDatabase(db.to_owned()))?;
        let sql = "select case when s.setrole <> 0 then pg_get_userbyid(s.setrole)::text end as role, \
                          split_part(c.entry, '=', 1) as name, \
                          substr(c.entry, strpos(c.entry, '=') + 1) as value \
                   from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase, \
                        unnest(s.setconfig) with ordinality as c(entry, place) \
                   where d.datname = $1 order by s.setrole, c.place";
        let settings = ask(&doing, sqlx::query_as(sql).bind(db).fetch_all(link)).await?;
        Ok(Self { owner, limit, comment, settings })
    }

    /// The role it belongs to.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The statements that bind the same to `target`.
    pub fn statements(&self, target: &str) -> Vec<String> {
        let database = quote(target);
        let mut statements = vec![
            format!("alter database {database} owner to {}", quote(&self.owner)),
            format!("alter database {database} connection limit {}", self.limit),
            self.comment.as_ref().map_or_else(
                || format!("comment on database {database} is null"),
                |comment| format!("comment on database {database} is {}", literal(comment)),
            ),
        ];
        statements.extend(self.settings(target));
        statements
    }

    /// Those of the statements that set parameters. For another role they are only allowed to that role itself,
    /// so each is done as that role.
    pub fn settings(&self, target: &str) -> Vec<String> {
        let database = quote(target);
        let mut statements = Vec::new();
        for Setting { role, name, value } in &self.settings {
            let parameter = name.split('.').map(quote).collect::<Vec<_>>().join(".");
            let value = if LISTS.contains(&name.as_str()) {
                statements.push(format!("select set_config({}, {}, true)", literal(name), literal(value)));
                "from current".to_owned()
            } else {
                format!("to {}", literal(value))
            };
            if let Some(role) = role {
                let role = quote(role);
                statements.push(format!("set local role {role}"));
                statements.push(format!("alter role {role} in database {database} set {parameter} {value}"));
                statements.push("set local role none".to_owned());
            } else {
                statements.push(format!("alter database {database} set {parameter} {value}"));
            }
        }
        statements
    }
}
