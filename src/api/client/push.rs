//! Saying that something was pushed.

use std::collections::HashMap;

use zbus::Variant;

use super::{Client, Error};
use crate::model::names::App;
use crate::model::push::Hint;

#[zbus::proxy(
    interface = "sale.tsh.Agent1.Face",
    default_service = "sale.tsh.Agent1",
    default_path = "/sale/tsh/Agent1"
)]
trait Face {
    async fn push(&self, app: &str, hint: HashMap<&str, Variant<'_>>) -> zbus::Result<u32>;
}

impl Client {
    /// Says that something may have been pushed. When this returns, the agent will not forget it.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn push(&self, app: &App, hint: &Hint) -> Result<u32, Error> {
        let said = [
            ("forge", hint.forge.map(|forge| forge.word())),
            ("delivery", hint.delivery.as_ref().map(|delivery| delivery.as_str())),
            ("sender", hint.sender.as_ref().map(|sender| sender.as_str())),
            ("revision", hint.revision.as_ref().map(|revision| revision.as_str())),
        ];
        let words = said.into_iter().filter_map(|(name, value)| Some((name, Variant::from(value?)))).collect();
        Ok(FaceProxy::new(&self.connection).await?.push(app.as_str(), words).await?)
    }
}
