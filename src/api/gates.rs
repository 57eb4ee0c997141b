//! How gates are named on the bus.

use std::collections::HashMap;

use zbus::Variant;

use super::{Kind, Refusal};
use crate::model::gates::{Gate, HoldKind, Override};

/// The option of `Deploy` with the gates that are passed, and why.
pub(super) const OVERRIDES: &str = "overrides";

/// The overrides among the options, which are taken out: gate → reason.
pub(super) fn overrides(options: &mut HashMap<&str, Variant<'_>>) -> Result<Vec<Override>, Refusal> {
    let Some(value) = options.remove(OVERRIDES) else { return Ok(Vec::new()) };
    let usage = |what: String| Refusal::new(Kind::Usage, what);
    let Variant::Dict(given) = value else { return Err(usage(format!("option {OVERRIDES:?} is not a dictionary"))) };
    let given = HashMap::<String, String>::try_from(given)
        .map_err(|_| usage(format!("option {OVERRIDES:?} does not say gate = reason")))?;
    let read = |(gate, reason): (String, String)| match gate.parse::<Gate>() {
        Ok(gate) if !reason.trim().is_empty() => Ok(Override { gate, reason }),
        Ok(gate) => Err(usage(format!("overriding {} needs a reason, for those who ask later", gate.word()))),
        Err(what) => Err(usage(what)),
    };
    given.into_iter().map(read).collect()
}

/// The options for these overrides.
pub(super) fn dictionary(overrides: &[Override]) -> Variant<'static> {
    let given: HashMap<String, String> =
        overrides.iter().map(|given| (given.gate.word().to_owned(), given.reason.clone())).collect();
    Variant::Dict(given.into())
}

/// A kind of hold by its word.
pub(super) fn hold(word: &str) -> Result<HoldKind, Refusal> {
    let found = HoldKind::ALL.into_iter().find(|kind| kind.word() == word);
    found.ok_or_else(|| Refusal::new(Kind::Usage, format!("there is nothing {word:?} to hold deployments back with")))
}
