//! How a release takes over: what is in front of the application, and where it can run.

use std::net::SocketAddr;
use std::time::Duration;

use super::settings::{Role, Service, Settings};
use crate::model::names::UnitName;
use crate::model::slot::{Link, Slot};

/// How a release takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Units of the application's own are stopped and started.
    Restart,
    /// One slot behind a socket: requests wait while it starts.
    Socket,
    /// Two slots share the socket: one serves while the other starts.
    Slots,
}

/// The application behind a socket of systemd, served by the agent's launcher.
#[derive(Debug, Clone, PartialEq)]
pub struct Serve {
    /// Whether there is a socket, and how many slots.
    pub strategy: Strategy,
    /// What uvicorn takes: "module:attribute"; there with a socket.
    pub app: Option<String>,
    /// Where the socket listens; there with a socket.
    pub listen: Option<SocketAddr>,
    /// Time for requests that were accepted to end, before a slot is stopped.
    pub drain: Duration,
}

impl Service {
    /// What is behind the socket, if there is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Serve> {
        Some(&self.serve).filter(|serve| serve.strategy != Strategy::Restart)
    }
}

impl Settings {
    /// The unit of a slot, where a socket is in front.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> Option<UnitName> {
        let serve = self.service.socket()?;
        let used = serve.strategy == Strategy::Slots || slot == Slot::A;
        used.then(|| format!("{}@{}.service", self.app, slot.word()).parse().ok()).flatten()
    }

    /// Whether the unit is a slot.
    #[must_use]
    pub fn is_slot(&self, name: &UnitName) -> bool {
        Slot::ALL.into_iter().any(|slot| self.slot(slot).as_ref() == Some(name))
    }

    /// The units that answer requests when nothing runs yet: of two slots only the first.
    pub fn web(&self) -> impl Iterator<Item = &UnitName> {
        let second = self.slot(Slot::B);
        self.units(Role::Web).filter(move |name| Some(*name) != second.as_ref())
    }

    /// The links that a release needs.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        let slots = Slot::ALL.into_iter().filter(|slot| self.slot(*slot).is_some());
        std::iter::once(Link::Current).chain(slots.map(Link::Slot)).collect()
    }
}
