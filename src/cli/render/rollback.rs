//! What a rollback would do.

use super::{Look, field};
use crate::model::going_back::RollbackView;
use crate::model::names::{ReleaseId, Sha};

/// The screen.
#[must_use]
pub fn plan(view: &RollbackView, look: &Look) -> String {
    let to = release(view.release, view.revision.as_ref());
    let from = match &view.live {
        Some(live) => format!("from {}", release(live.release, live.revision.as_ref())),
        None => "nothing runs now".to_owned(),
    };
    let mut out = format!("{}: back to {to}, {from}\n", view.app);
    out += &super::plan::open(view.open, look);
    out += &field("database", &view.database, look);
    out += &field("because", &view.because, look);
    out + &field("lost", &view.lost, look)
}

fn release(id: ReleaseId, revision: Option<&Sha>) -> String {
    match revision {
        Some(revision) => format!("release {id} ({})", revision.short()),
        None => format!("release {id}"),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::render::fixtures;
    use crate::model::names::DeploymentId;

    #[test]
    fn it_is_told_before_it_is_done() {
        let (look, view) = (fixtures::look(), fixtures::rollback());
        assert_snapshot!(plan(&view, &look), @r"
        tsh-erp: back to release 41 (91ab3e0d), from release 42 (3f2c1a9d)
          database:   stays at 0003_note (case 1): a rehearsal has proven this release
                      on a schema it does not know
          because:    the schema is at 0003_note, which release 41 does not know
          lost:       nothing: every row stays, also in columns that this release does
                      not know
        ");
        let view = RollbackView { live: None, revision: None, open: Some(DeploymentId(43)), ..view };
        let told = plan(&view, &look);
        assert!(
            told.starts_with("tsh-erp: back to release 41, nothing runs now\n  open:       deployment 43 is"),
            "{told}"
        );
    }
}
