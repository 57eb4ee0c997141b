//! A release whose migrations are, byte for byte, those of a release that was inspected before need not be inspected: to
//! ask its migration tool takes longer than all else that a change of code alone needs.

use std::path::{Component, Path, PathBuf};

use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Goal, Inspected};

/// What an inspection of the release would find, where that is certain.
pub async fn inspected<W: World>(engine: &mut Engine<'_, W>) -> Act<Option<Inspected>> {
    let Some(order) = engine.journal.order() else { return Ok(None) };
    let (running, release) = (order.from, engine.release());
    if matches!(order.goal, Goal::Restore(_)) || engine.settings.database.is_none() {
        return Ok(None);
    }
    let current = engine.world.schema().await?;
    for known in [Some(release), running].into_iter().flatten() {
        let Some(before) = engine.world.journal_of(known).await?.inspected().cloned() else { continue };
        let Some(again) = before.again(&current) else { continue };
        if known == release {
            return Ok(Some(again));
        }
        let Some(places) = below(&engine.settings.build.workdir, &again.places) else { continue };
        let sealed = engine.world.sealed(known, &places).await?;
        if !sealed.is_empty() && sealed == engine.world.sealed(release, &places).await? {
            return Ok(Some(again));
        }
    }
    Ok(None)
}

/// The places as they are called in the release; nothing if one is outside of it, where no manifest tells of it.
fn below(workdir: &Path, places: &[String]) -> Option<Vec<PathBuf>> {
    let inside = |place: &String| {
        let place = Path::new(place);
        let plain = place.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| workdir.join(place))
    };
    places.iter().map(inside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_release_is_compared() {
        let below = |places: &[&str]| {
            below(Path::new("backend"), &places.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>())
        };
        let inside = ["backend/alembic.ini", "backend/alembic/versions"].map(PathBuf::from).to_vec();
        assert_eq!(below(&["alembic.ini", "alembic/versions"]), Some(inside));
        assert_eq!(below(&["alembic.ini", "../shared/versions"]), None);
        assert_eq!(below(&["alembic.ini", "/opt/versions"]), None);
    }
}
