//! How two commits differ.

use super::text::fit;
use super::{Look, field, plan};
use crate::model::plan::{DiffView, Side};

/// The screen.
#[must_use]
pub fn diff(view: &DiffView, look: &Look) -> String {
    let head = format!("{}: from {} to {}", view.app, side(&view.from), side(&view.to));
    let mut out = format!("{}\n", fit(&head, look.width));
    let only = format!("{} has these, and {} does not:", view.from.revision.short(), view.to.revision.short());
    out += &plan::compared(&view.compared, &only, look);
    let found = &view.compared.migrations;
    if !view.database {
        return out;
    }
    let head = match (&found.unknown, found.added.len(), found.removed.len()) {
        (Some(why), _, _) => format!("not known: {why}"),
        (None, 0, 0) => "no difference".to_owned(),
        (None, new, 0) => format!("{new} more"),
        (None, 0, gone) => format!("{gone} fewer: what has run stays in the database"),
        (None, new, gone) => format!("{new} more, {gone} fewer"),
    };
    out += &field("migrations", &head, look);
    out += &plan::migrations("+ ", &found.added, look);
    out + &plan::migrations("- ", &found.removed, look)
}

fn side(side: &Side) -> String {
    let short = side.revision.short();
    match side.deployment {
        Some(id) => format!("deployment {id} ({short})"),
        None if side.revision.as_str().starts_with(&side.wanted) => short.to_owned(),
        None => format!("{} ({short})", side.wanted),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use insta::assert_snapshot;

    use super::super::fixtures::{look, sha};
    use super::super::plan::tests::{code, migration};
    use super::*;
    use crate::model::names::DeploymentId;
    use crate::model::plan::{Change, Commits};

    pub(crate) fn view() -> DiffView {
        let plan = code();
        DiffView {
            app: plan.app,
            from: Side { wanted: "41".into(), deployment: Some(DeploymentId(41)), revision: sha("91ab3e0d") },
            to: Side { wanted: "main".into(), deployment: None, revision: sha("3f2c1a9d") },
            compared: plan.compared,
            database: true,
        }
    }

    #[test]
    fn what_differs_is_told_from_the_first_to_the_second() {
        let mut view = view();
        view.compared.packages.changes =
            vec![Change { name: "click".into(), old: Some("8.5.1".into()), new: Some("8.5.2".into()) }];
        view.compared.migrations.added = vec![migration("0003_note", "Orders may carry a note")];
        view.compared.migrations.removed = vec![migration("0003_total", "")];
        let newest = view.compared.new.newest.drain(2..).collect();
        view.compared.gone = Commits { count: 1, newest };
        view.compared.new.count = 2;
        let text = diff(&view, &look());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_snapshot!(text, @"
        tsh-erp: from deployment 41 (91ab3e0d) to main (3f2c1a9d)
          new:        3f2c1a9d Round the value added tax per line, as t…  Dana Developer
                      77aa0011 Print                                      Ωmega
          goes:       91ab3e0d has these, and 3f2c1a9d does not:
                      5d5e5f00 Übersetze die Rechnung                 A name that is lo…
          packages:   1 differs in requirements.txt
                        click 8.5.1 → 8.5.2
          migrations: 1 more, 1 fewer
                      + 0003_note  Orders may carry a note
                      - 0003_total  alembic/versions/0003_total.py
        ");
    }

    #[test]
    fn the_same_is_said_to_be_the_same() {
        let mut view = view();
        view.to = Side { wanted: "91ab3e0".into(), deployment: None, revision: sha("91ab3e0d") };
        view.compared.new = Commits::default();
        assert_snapshot!(diff(&view, &look()), @"
        tsh-erp: from deployment 41 (91ab3e0d) to 91ab3e0d
          commits:    none: it is the same commit
          packages:   no difference
          migrations: no difference
        ");
        view.compared.migrations.unknown = Some("only the command `database.pending` tells".into());
        assert!(diff(&view, &look()).contains("migrations: not known: only the command"));
        view.database = false;
        assert!(!diff(&view, &look()).contains("migrations"));
    }
}
