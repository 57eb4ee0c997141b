//! Databases that were set aside, below the backups.

use super::text::{cut, pad, width};
use super::{Look, Tone};
use crate::model::quarantine::QuarantineView;
use crate::model::size::size;
use crate::when;

/// The table; nothing where there is none.
#[must_use]
pub fn list(views: &[QuarantineView], look: &Look) -> String {
    if views.is_empty() {
        return String::new();
    }
    let name = views.iter().map(|view| width(&view.database)).max().unwrap_or(0).max(9);
    let head =
        [pad("SET ASIDE", name), pad("SINCE", 10), pad("UNTIL", 10), pad("SIZE", 8), pad("ROWS", 8), "DUMP".into()];
    let mut out = format!("\n{}\n", look.paint(Tone::Faint, &cut(&head.join("  "), look.width)));
    for view in views {
        let day =
            |at: Option<i64>| at.map_or_else(|| "?".to_owned(), |at| when::minute(at, &look.zone)[..10].to_owned());
        let rows = view.rows.map_or_else(|| "?".to_owned(), |rows| rows.to_string());
        let cells = [
            pad(&view.database, name),
            pad(&day(view.since), 10),
            pad(&day(view.until), 10),
            pad(&size(view.bytes), 8),
            pad(&rows, 8),
            view.dump.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string),
        ];
        out += &format!("{}\n", cut(&cells.join("  "), look.width));
    }
    out + "ROWS are those that only it has; it goes when UNTIL is over and a DUMP is proven\n"
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::names::DeploymentId;

    #[test]
    fn what_was_set_aside_is_listed_with_its_time() {
        let look = Look { width: 80, colour: false, now: 1_795_236_000_000, zone: TimeZone::UTC };
        let view = |id: u32, rows: Option<u64>, dump: Option<&str>| QuarantineView {
            database: format!("tsh_erp_quarantine_{id}"),
            deployment: DeploymentId(id),
            comment: None,
            bytes: 942_000_000,
            since: rows.map(|_| 1_795_230_900_000),
            until: rows.map(|_| 1_797_822_900_000),
            rows,
            dump: dump.map(|dump| dump.parse().unwrap()),
        };
        assert_eq!(list(&[], &look), "");
        let text = list(&[view(7, Some(14), None), view(1042, None, Some("20261121T031500Z"))], &look);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        assert_snapshot!(text, @"
        SET ASIDE                SINCE       UNTIL       SIZE      ROWS      DUMP
        tsh_erp_quarantine_7     2026-11-21  2026-12-21  942 MB    14        none yet
        tsh_erp_quarantine_1042  ?           ?           942 MB    ?         20261121T0…
        ROWS are those that only it has; it goes when UNTIL is over and a DUMP is proven
        ");
    }
}
