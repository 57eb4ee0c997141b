//! The serving side: arguments become values, values become JSON, refusals become named errors.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use zbus::message::Header;
use zbus::{Connection, Variant, fdo};

use super::face::Face;
use super::{Caller, Core, INTERFACE, Kind, NAME, PATH, Refusal, gates, login};
use crate::model::care::Kind as Care;
use crate::model::names::{App, DeploymentId, ReleaseId, Wanted};
use crate::model::step::Step;

/// Serves `core` on the bus that `builder` names. Whoever sees the name on the bus can call: the object is
/// there before it. The connection is returned because it is the service's life.
///
/// # Errors
/// If the bus cannot be reached, or the name is taken or not allowed.
pub async fn serve(builder: zbus::connection::Builder<'_>, core: Arc<impl Core>) -> zbus::Result<Connection> {
    let connection = builder.build().await?;
    let bus = fdo::DBusProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await?;
    let callers = Callers(bus);
    connection.object_server().at(PATH, Face { core: Arc::clone(&core), callers: callers.clone() }).await?;
    connection.object_server().at(PATH, Agent { core, callers }).await?;
    // By default a second core would take the name from the first; there must never be two.
    connection.request_name_with_flags(NAME, fdo::RequestNameFlags::DO_NOT_QUEUE).await?;
    Ok(connection)
}

/// Tells everybody that something about a deployment changed: a word of state, never text.
///
/// # Errors
/// If the bus is gone.
pub async fn changed(connection: &Connection, app: &App, id: DeploymentId, state: &str) -> zbus::Result<()> {
    connection.emit_signal(None::<&str>, PATH, INTERFACE, "Changed", &(app.as_str(), id.0, state)).await
}

struct Agent<C> {
    core: Arc<C>,
    callers: Callers,
}

/// Asks the bus who is who. Kept: making one costs far more than a call.
#[derive(Clone)]
pub(super) struct Callers(fdo::DBusProxy<'static>);

#[zbus::interface(name = "sale.tsh.Agent1")]
impl<C: Core> Agent<C> {
    async fn deploy(
        &self,
        app: &str,
        wanted: &str,
        mut options: HashMap<&str, Variant<'_>>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        let overrides = gates::overrides(&mut options)?;
        let wanted = if wanted.is_empty() { None } else { Some(wanted.parse::<Wanted>()?) };
        let force = flags(&options, &["force"])?.contains(&"force");
        Ok(self.core.deploy(by, app.parse()?, wanted, force, overrides).await?.0)
    }

    async fn rollback(
        &self,
        app: &str,
        to: u32,
        options: HashMap<&str, Variant<'_>>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        flags(&options, &[])?;
        let to = (to != 0).then_some(DeploymentId(to));
        Ok(self.core.rollback(by, app.parse()?, to).await?.0)
    }

    async fn rollback_plan(&self, app: &str, to: u32) -> Result<String, Refusal> {
        let to = (to != 0).then_some(DeploymentId(to));
        json(&self.core.rollback_plan(app.parse()?, to).await?)
    }

    async fn abort(&self, id: u32, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        self.core.abort(by, DeploymentId(id)).await
    }

    async fn adopt(
        &self,
        app: &str,
        revision: &str,
        subject: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        Ok(self.core.adopt(by, app.parse()?, revision.parse()?, subject.to_owned()).await?.0)
    }

    async fn hold(
        &self,
        app: &str,
        kind: &str,
        until: i64,
        reason: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        let until = (until != 0).then_some(until);
        self.core.hold(by, app.parse()?, gates::hold(kind)?, until, reason.to_owned()).await
    }

    async fn lift(&self, app: &str, kind: &str, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        self.core.lift(by, app.parse()?, gates::hold(kind)?).await
    }

    async fn forgive(&self, app: &str, revision: &str, #[zbus(header)] header: Header<'_>) -> Result<String, Refusal> {
        let by = self.caller(&header).await?;
        Ok(self.core.forgive(by, app.parse()?, revision.to_owned()).await?.to_string())
    }

    async fn decide(
        &self,
        id: u32,
        approved: bool,
        reason: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        let by = self.caller(&header).await?;
        self.core.decide(by, DeploymentId(id), approved, reason.to_owned()).await
    }

    async fn audit(&self, app: &str, limit: u32) -> Result<String, Refusal> {
        let app = if app.is_empty() { None } else { Some(app.parse()?) };
        json(&self.core.audit(app, limit).await?)
    }

    async fn gates(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.gates(app.parse()?).await?)
    }

    async fn plan(&self, app: &str, wanted: &str) -> Result<String, Refusal> {
        let wanted = if wanted.is_empty() { None } else { Some(wanted.parse::<Wanted>()?) };
        json(&self.core.plan(app.parse()?, wanted).await?)
    }

    async fn diff(&self, app: &str, from: &str, to: &str) -> Result<String, Refusal> {
        json(&self.core.diff(app.parse()?, from.parse()?, to.parse()?).await?)
    }

    async fn pin(
        &self,
        app: &str,
        release: u32,
        reason: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        self.core.pin(by, app.parse()?, ReleaseId(release), reason.trim().to_owned()).await
    }

    async fn unpin(&self, app: &str, release: u32, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        self.core.unpin(by, app.parse()?, ReleaseId(release)).await
    }

    async fn show(&self, id: u32) -> Result<String, Refusal> {
        json(&self.core.show(DeploymentId(id)).await?)
    }

    async fn history(&self, app: &str, limit: u32) -> Result<String, Refusal> {
        let app = if app.is_empty() { None } else { Some(app.parse()?) };
        json(&self.core.history(app, limit).await?)
    }

    async fn status(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.status(app.parse()?).await?)
    }

    async fn metrics(&self) -> Result<String, Refusal> {
        json(&self.core.metrics().await?)
    }

    async fn check(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.check(app.parse()?).await?)
    }

    async fn apps(&self) -> Vec<String> {
        self.core.apps().await.into_iter().map(String::from).collect()
    }

    async fn output(&self, id: u32, step: &str, offset: u64) -> Result<(Vec<u8>, u64), Refusal> {
        let step = Step::ALL
            .into_iter()
            .find(|known| known.word() == step)
            .ok_or_else(|| Refusal::new(Kind::Usage, format!("there is no step {step:?}")))?;
        self.core.output(DeploymentId(id), step, offset).await
    }

    async fn back_up(
        &self,
        app: &str,
        options: HashMap<&str, Variant<'_>>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        let daily = flags(&options, &["daily"])?.contains(&"daily");
        self.core.care(by, app.parse()?, if daily { Care::Daily } else { Care::Backup }, None).await
    }

    async fn verify_backup(&self, app: &str, name: &str, #[zbus(header)] header: Header<'_>) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        let name = if name.is_empty() { None } else { Some(name.parse()?) };
        self.core.care(by, app.parse()?, Care::Verify, name).await
    }

    async fn push_backups(&self, app: &str, #[zbus(header)] header: Header<'_>) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        self.core.care(by, app.parse()?, Care::Push, None).await
    }

    async fn prune_backups(&self, app: &str, #[zbus(header)] header: Header<'_>) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        self.core.care(by, app.parse()?, Care::Prune, None).await
    }

    async fn quarantines(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.quarantines(app.parse()?).await?)
    }

    async fn restore_plan(&self, app: &str, name: &str, release: u32) -> Result<String, Refusal> {
        json(&self.core.restore_plan(app.parse()?, name.parse()?, some(release)).await?)
    }

    async fn restore_backup(
        &self,
        app: &str,
        name: &str,
        database: &str,
        release: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.caller(&header).await?;
        Ok(self.core.restore(by, app.parse()?, name.parse()?, database, some(release)).await?.0)
    }

    async fn doomed_backups(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.doomed(app.parse()?).await?)
    }

    async fn backups(&self, app: &str) -> Result<String, Refusal> {
        json(&self.core.backups(app.parse()?).await?)
    }

    async fn backup(&self, app: &str, name: &str) -> Result<String, Refusal> {
        json(&self.core.backup(app.parse()?, name.parse()?).await?)
    }

    async fn backup_run(&self, id: u32) -> Result<String, Refusal> {
        json(&self.core.care_of(id).await?)
    }

    async fn add_key(
        &self,
        name: &str,
        app: &str,
        allow: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Refusal> {
        let by = self.caller(&header).await?;
        let allow = allow.iter().map(|word| word.parse()).collect::<Result<_, String>>();
        let allow = allow.map_err(|why| Refusal::new(Kind::Usage, why))?;
        self.core.add_key(by, name.parse()?, app.parse()?, allow).await
    }

    async fn keys(&self) -> Result<String, Refusal> {
        json(&self.core.keys().await?)
    }

    async fn remove_key(&self, name: &str, #[zbus(header)] header: Header<'_>) -> Result<(), Refusal> {
        let by = self.caller(&header).await?;
        self.core.remove_key(by, name.parse()?).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(signal)]
    async fn changed(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        app: &str,
        id: u32,
        state: &str,
    ) -> zbus::Result<()>;
}

impl<C: Core> Agent<C> {
    async fn caller(&self, header: &Header<'_>) -> Result<Caller, Refusal> {
        self.callers.of(header).await
    }
}

impl Callers {
    pub(super) async fn of(&self, header: &Header<'_>) -> Result<Caller, Refusal> {
        let unknown = || Refusal::internal("the bus does not say who asks");
        let sender = header.sender().ok_or_else(unknown)?.to_owned();
        let credentials = self.0.get_connection_credentials(sender.into()).await.map_err(|_| unknown())?;
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
        let (login, from) = match credentials.process_id() {
            Some(pid) => login::of(self.0.inner().connection(), pid).await,
            None => (None, None),
        };
        Ok(Caller { uid, name: user.map_or_else(|| format!("uid {uid}"), |user| user.name), login, from })
    }
}

/// 0 stands for the live release.
fn some(release: u32) -> Option<ReleaseId> {
    (release != 0).then_some(ReleaseId(release))
}

/// The options that are set. An unknown one is refused: it may be what makes the order safe.
fn flags<'a>(options: &HashMap<&'a str, Variant<'_>>, known: &[&str]) -> Result<Vec<&'a str>, Refusal> {
    let mut set = Vec::new();
    for (name, value) in options {
        match value {
            Variant::Bool(value) if known.contains(name) => set.extend(value.then_some(*name)),
            _ => return Err(Refusal::new(Kind::Usage, format!("option {name:?} is not known, or not a boolean"))),
        }
    }
    Ok(set)
}

pub(super) fn json(view: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(view).map_err(|error| Refusal::internal(format!("a view cannot be written: {error}")))
}
