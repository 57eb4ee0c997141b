//! The fence: who may connect to the database. It is in the database itself, so that neither a reboot nor a
//! forgotten cron job can write behind it.

use sqlx::PgConnection;

use super::{Cluster, DatabaseError, MAINTENANCE, MIGRATOR, Result, ask, close, literal, quote, run_together};

/// One right of one role to a database.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Grant {
    /// The role; `None` is PUBLIC.
    grantee: Option<String>,
    right: String,
    grantable: bool,
    by_owner: bool,
}

impl Cluster {
    /// The database's access list as PostgreSQL writes it; `None` is its default: everybody may connect.
    ///
    /// # Errors
    /// If there is no such database, or the server cannot be asked.
    pub async fn access(&self, db: &str) -> Result<Option<String>> {
        let mut link = self.link(MAINTENANCE).await?;
        let access = list(&mut link, db).await?;
        close(link).await;
        Ok(access)
    }

    /// Takes the right to connect away from everybody but the migration, ends every session, and says whose they
    /// were. The agent itself still gets in: it is a member of the migration's role. What else a role may do in the
    /// database stays as it is.
    ///
    /// # Errors
    /// If the database cannot be fenced or could not be moved afterwards, which is found out before anything
    /// changes; or if a session cannot be ended, in which case the fence stands.
    pub async fn fence(&self, db: &str) -> Result<Vec<String>> {
        let mut link = self.link(MAINTENANCE).await?;
        super::check::movable(&mut link, db).await?;
        let doing = format!("take the right to connect to database {db} away");
        let now = list(&mut link, db).await?;
        let wanted = fenced(grants(&mut link, db, now.as_deref()).await?);
        let statements = give_exactly(&mut link, db, &wanted).await?;
        run_together(&mut link, &doing, &statements).await?;
        stands(&mut link, db).await?;
        let ended = self.end_sessions(&mut link, db, None).await?;
        close(link).await;
        Ok(ended)
    }

    /// Lets the application's own role connect again, and nobody else yet.
    ///
    /// # Errors
    /// If the server refuses or cannot be asked.
    pub async fn admit(&self, db: &str, owner: &str) -> Result<()> {
        let mut link = self.link(MAINTENANCE).await?;
        let sql = [format!("grant connect on database {} to {}", quote(db), quote(owner))];
        run_together(&mut link, &format!("let role {owner} connect to database {db}"), &sql).await?;
        close(link).await;
        Ok(())
    }

    /// Makes the access list what it was: `original` as [`Cluster::access`] told it before the fence.
    ///
    /// # Errors
    /// If the server refuses (a role of the list is gone, for example) or cannot be asked.
    pub async fn unfence(&self, db: &str, original: Option<&str>) -> Result<()> {
        let mut link = self.link(MAINTENANCE).await?;
        let wanted = grants(&mut link, db, original).await?;
        let statements = give_exactly(&mut link, db, &wanted).await?;
        run_together(&mut link, &format!("give the right to connect to database {db} back"), &statements).await?;
        close(link).await;
        Ok(())
    }
}

/// The rights behind the fence, made from those before it.
pub(super) fn fenced(grants: Vec<Grant>) -> Vec<Grant> {
    let mut behind: Vec<Grant> = grants.into_iter().filter(|grant| grant.right != "CONNECT").collect();
    behind.push(Grant {
        grantee: Some(MIGRATOR.to_owned()),
        right: "CONNECT".to_owned(),
        grantable: false,
        by_owner: true,
    });
    behind
}

/// The rights an access list means for `db`, in its order.
pub(super) async fn grants(link: &mut PgConnection, db: &str, list: Option<&str>) -> Result<Vec<Grant>> {
    let sql = "select case when acl.grantee <> 0 then pg_get_userbyid(acl.grantee)::text end as grantee, \
                      acl.privilege_type as right, acl.is_grantable as grantable, acl.grantor = d.datdba as by_owner \
               from pg_database d, \
                    aclexplode(coalesce($2::text::aclitem[], acldefault('d', d.datdba))) with ordinality as acl \
               where d.datname = $1 order by acl.ordinality";
    let doing = format!("read the access list of database {db}");
    let grants: Vec<Grant> = ask(&doing, sqlx::query_as(sql).bind(db).bind(list).fetch_all(link)).await?;
    if let Some(Grant { grantee, .. }) = grants.iter().find(|grant| !grant.by_owner) {
        let role = grantee.as_deref().unwrap_or("PUBLIC");
        return Err(DatabaseError::refused(
            format!(
                "role {role} has a right to database {db} that was not given by its owner, and could not be given back"
            ),
            format!("grant it to {role} as the owner of {db}, and revoke the other grant"),
        ));
    }
    Ok(grants)
}

/// The statements after which the rights to `db` are exactly `wanted`, whatever they are now.
pub(super) async fn give_exactly(link: &mut PgConnection, db: &str, wanted: &[Grant]) -> Result<Vec<String>> {
    let sql = "select distinct case when acl.grantee <> 0 then pg_get_userbyid(acl.grantee)::text end as grantee \
               from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl \
               where d.datname = $1";
    let doing = format!("read the access list of database {db}");
    let now: Vec<(Option<String>,)> = ask(&doing, sqlx::query_as(sql).bind(db).fetch_all(link)).await?;
    let now: Vec<Option<String>> = now.into_iter().map(|(grantee,)| grantee).collect();
    Ok(in_place_of(db, &now, wanted))
}

/// The statements that give `wanted` in place of whatever these roles have (`None` is PUBLIC).
pub(super) fn in_place_of(db: &str, now: &[Option<String>], wanted: &[Grant]) -> Vec<String> {
    let database = quote(db);
    let revoke = |grantee: &Option<String>| {
        format!("revoke all on database {database} from {} cascade", role(grantee.as_deref()))
    };
    let grant = |grant: &Grant| {
        let right = match grant.right.as_str() {
            "CREATE" => "create",
            "TEMPORARY" => "temporary",
            _ => "connect",
        };
        let option = if grant.grantable { " with grant option" } else { "" };
        format!("grant {right} on database {database} to {}{option}", role(grant.grantee.as_deref()))
    };
    now.iter().map(revoke).chain(wanted.iter().map(grant)).collect()
}

fn role(name: Option<&str>) -> String {
    name.map_or_else(|| "public".to_owned(), quote)
}

pub(super) async fn list(link: &mut PgConnection, db: &str) -> Result<Option<String>> {
    let sql = "select datacl::text from pg_database where datname = $1";
    let doing = format!("read the access list of database {db}");
    let found: Option<(Option<String>,)> = ask(&doing, sqlx::query_as(sql).bind(db).fetch_optional(link)).await?;
    found.map(|(access,)| access).ok_or_else(|| DatabaseError::NoDatabase(db.to_owned()))
}

/// Makes sure that the fence shuts out whom it must, and lets in whom it must.
async fn stands(link: &mut PgConnection, db: &str) -> Result<()> {
    let sql = "select has_database_privilege(pg_get_userbyid(datdba), datname, 'connect'), \
                      has_database_privilege(current_user, datname, 'connect') \
               from pg_database where datname = $1";
    let doing = format!("look at the fence around database {db}");
    match ask(&doing, sqlx::query_as(sql).bind(db).fetch_one(link)).await? {
        (false, true) => Ok(()),
        (true, _) => Err(DatabaseError::refused(
            format!("the owner of database {db} can still connect although the right was taken from every role"),
            format!("look whether it is a member of {MIGRATOR}: it must not be"),
        )),
        (false, false) => Err(DatabaseError::refused(
            format!("{} cannot connect to database {db} behind the fence", super::error::agent()),
            format!("grant {} to {}; the role must inherit", literal(MIGRATOR), super::error::agent()),
        )),
    }
}
