//! What is never dropped.

use std::fs;
use std::path::Path;

use super::*;

#[tokio::test]
async fn only_what_stands_aside_is_dropped() {
    let scratch = Scratch::new("keep").await;
    let (twin, quarantine) = aside(&scratch);
    scratch.cluster.fence("keep").await.unwrap();
    scratch.cluster.twin("keep", &twin, false).await.unwrap();
    scratch.cluster.swap(&back(&scratch), None).await.unwrap();
    let next = Aside::twin("keep", DeploymentId(8));
    scratch.cluster.twin("keep", &next, false).await.unwrap();

    let leftovers = scratch.cluster.leftovers("keep").await.unwrap();
    let kinds: Vec<_> = leftovers.iter().map(|left| (left.aside.name(), left.aside.kind, left.bytes > 0)).collect();
    assert_eq!(kinds, [("keep_quarantine_7", Kind::Quarantine, true), ("keep_pre_8", Kind::Twin, true)]);
    assert_eq!(leftovers[1].comment.as_deref(), Some("tsh-agent: keep before deployment 8"));

    // Somebody's live database may be called like a twin.
    scratch.root("create database keep_pre_9 owner keep_app").await;
    scratch.root("create database keep_quarantine_9 owner keep_app").await;
    for live in [Aside::twin("keep", DeploymentId(9)), Aside::quarantine("keep", DeploymentId(9))] {
        let error = scratch.cluster.drop("keep", &live).await.unwrap_err();
        assert!(error.to_string().contains("is not dropped"), "{error}");
    }
    assert!(scratch.cluster.drop("other", &next).await.is_err(), "it is not a twin of that database");
    for _ in 0..2 {
        scratch.cluster.drop("keep", &next).await.unwrap();
        scratch.cluster.drop("keep", &quarantine).await.unwrap();
    }
    assert_eq!(names(&scratch).await, ["keep", "keep_pre_9", "keep_quarantine_9"]);
}

#[test]
fn databases_are_dropped_in_exactly_one_place() {
    fn places(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    places(&path, found);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let count = text.to_lowercase().matches(concat!("drop", " database")).count();
                found.extend((0..count).map(|_| path.display().to_string()));
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["src", "units", "scripts", "packaging", "config"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        if folder.exists() {
            places(&folder, &mut found);
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("src/database/aside.rs"), "{found:?}");
}
