//! Keys of programs, and what programs ask.

use std::time::Duration;

use super::{Client, Error, view};
use crate::model::key::{Allow, Answer, Asked, KeyView};
use crate::model::names::{App, KeyName, Sha};

#[zbus::proxy(interface = "sale.tsh.Agent1", default_service = "sale.tsh.Agent1", default_path = "/sale/tsh/Agent1")]
trait Keys {
    async fn add_key(&self, name: &str, app: &str, allow: Vec<&str>) -> zbus::Result<String>;
    async fn keys(&self) -> zbus::Result<String>;
    async fn remove_key(&self, name: &str) -> zbus::Result<()>;
}

#[zbus::proxy(
    interface = "sale.tsh.Agent1.Face",
    default_service = "sale.tsh.Agent1",
    default_path = "/sale/tsh/Agent1"
)]
trait Programs {
    async fn request(&self, key: &str, app: &str, revision: &str) -> zbus::Result<String>;
    async fn answer(&self, key: &str, kind: &str, number: u32, wait: u32) -> zbus::Result<String>;
}

impl Client {
    /// Makes a key; nobody is told it again.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn add_key(&self, name: &KeyName, app: &App, allow: &[Allow]) -> Result<String, Error> {
        let words = allow.iter().map(|allow| allow.word()).collect();
        Ok(KeysProxy::new(&self.connection).await?.add_key(name.as_str(), app.as_str(), words).await?)
    }

    /// All keys.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn keys(&self) -> Result<Vec<KeyView>, Error> {
        view(&KeysProxy::new(&self.connection).await?.keys().await?)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn remove_key(&self, name: &KeyName) -> Result<(), Error> {
        Ok(KeysProxy::new(&self.connection).await?.remove_key(name.as_str()).await?)
    }

    /// Asks for a commit with a key.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn request(&self, key: &str, app: &App, revision: &Sha) -> Result<Answer, Error> {
        view(&ProgramsProxy::new(&self.connection).await?.request(key, app.as_str(), revision.as_str()).await?)
    }

    /// How that is, or a deployment. The agent answers at the latest after some 20 s.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn answer(&self, key: &str, what: Asked, wait: Duration) -> Result<Answer, Error> {
        let (kind, number) = match what {
            Asked::Request(number) => ("request", number),
            Asked::Deployment(id) => ("deployment", id.0),
        };
        let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        view(&ProgramsProxy::new(&self.connection).await?.answer(key, kind, number, wait).await?)
    }
}
