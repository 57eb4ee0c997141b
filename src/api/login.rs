//! Who is behind `sudo`: the owner of the session that a process belongs to.
//!
//! logind knows it from the process's control group, which no process of a user can leave. `SUDO_UID` is what the
//! process says about itself; the login id in `/proc` would do as well, but the core's sandbox hides other processes.

use std::time::Duration;

use zbus::{Connection, OwnedObjectPath};

/// An answer takes a millisecond; a machine without logind must not hold up an order.
const ANSWER: Duration = Duration::from_secs(2);

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    #[zbus(name = "GetSessionByPID")]
    fn session_of(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;
}

#[zbus::proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1")]
trait Session {
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn remote_host(&self) -> zbus::Result<String>;
}

/// The user who logged in, and from where; a service or a timer has not.
pub(super) async fn of(bus: &Connection, pid: u32) -> (Option<String>, Option<String>) {
    let asked = tokio::time::timeout(ANSWER, ask(bus, pid)).await;
    let (name, host) = asked.ok().and_then(Result::ok).unwrap_or_default();
    (Some(name).filter(|name| !name.is_empty()), Some(host).filter(|host| !host.is_empty()))
}

async fn ask(bus: &Connection, pid: u32) -> zbus::Result<(String, String)> {
    let path = ManagerProxy::new(bus).await?.session_of(pid).await?;
    let session = SessionProxy::builder(bus).path(path).build().await?;
    Ok((session.name().await?, session.remote_host().await?))
}
