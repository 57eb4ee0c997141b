//! The interface for what is not a person. The bus policy gives the network face this one and nothing else, so all of it
//! is safe to call for anybody: what is said here is a hint.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use zbus::Variant;
use zbus::message::Header;

use super::server::{Callers, json};
use super::{Core, Kind, Refusal};
use crate::model::key::Asked;
use crate::model::names::DeploymentId;
use crate::model::push::Hint;
use crate::model::trigger::Forge;

pub(super) struct Face<C> {
    pub core: Arc<C>,
    pub callers: Callers,
}

#[zbus::interface(name = "sale.tsh.Agent1.Face")]
impl<C: Core> Face<C> {
    async fn push(
        &self,
        app: &str,
        hint: HashMap<&str, Variant<'_>>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Refusal> {
        let by = self.callers.of(&header).await?;
        self.core.push(by, app.parse()?, parse(&hint)?).await
    }

    async fn request(&self, key: &str, app: &str, revision: &str) -> Result<String, Refusal> {
        json(&self.core.request(key.to_owned(), app.parse()?, revision.parse()?).await?)
    }

    async fn answer(&self, key: &str, kind: &str, number: u32, wait: u32) -> Result<String, Refusal> {
        let what = match kind {
            "request" => Asked::Request(number),
            "deployment" => Asked::Deployment(DeploymentId(number)),
            _ => return Err(Refusal::new(Kind::Usage, format!("{kind:?} is nothing that can be asked after"))),
        };
        json(&self.core.answer(key.to_owned(), what, Duration::from_millis(wait.into())).await?)
    }
}

/// The hint in what came over the bus. An unknown word is refused: it may be what makes the hint another one.
fn parse(words: &HashMap<&str, Variant<'_>>) -> Result<Hint, Refusal> {
    let mut hint = Hint::default();
    for (name, value) in words {
        let Variant::Str(value) = value else {
            return Err(Refusal::new(Kind::Usage, format!("{name:?} of a push is not a text")));
        };
        let text = value.as_str();
        match *name {
            "forge" => {
                let forge = Forge::ALL.into_iter().find(|forge| forge.word() == text);
                hint.forge = Some(forge.ok_or_else(|| Refusal::new(Kind::Usage, format!("{text:?} is no forge")))?);
            }
            "delivery" => hint.delivery = Some(text.parse()?),
            "sender" => hint.sender = Some(text.parse()?),
            "revision" => hint.revision = Some(text.parse()?),
            _ => return Err(Refusal::new(Kind::Usage, format!("{name:?} is not known of a push"))),
        }
    }
    Ok(hint)
}
