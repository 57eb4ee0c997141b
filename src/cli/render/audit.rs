//! The audit: a line for what happened, and under it who and why.

use super::{Look, text};
use crate::model::audit::Record;
use crate::when;

/// The column in which the details begin.
const DETAIL: usize = 4;

/// The screen, oldest first.
#[must_use]
pub fn audit(records: &[Record], look: &Look) -> String {
    if records.is_empty() {
        return "nothing has happened yet\n".to_owned();
    }
    records.iter().map(|record| entry(record, look)).collect()
}

fn entry(record: &Record, look: &Look) -> String {
    let about = record.deployment.map_or_else(String::new, |id| format!(" {id}"));
    let head = format!(
        "{} {} of {}: {}",
        when::minute(record.at, &look.zone),
        record.what.clone() + &about,
        record.app,
        who(record)
    );
    let mut out = text::fit(&head, look.width) + "\n";
    for line in text::wrap(&record.detail, look.width.saturating_sub(DETAIL).max(20)) {
        out += &format!("{}{line}\n", " ".repeat(DETAIL));
    }
    out
}

/// "root (olga logged in, from 10.0.0.7)".
fn who(record: &Record) -> String {
    let behind = record.who.login.as_ref().filter(|login| **login != record.by);
    let from = record.who.from.as_ref();
    match (behind, from) {
        (None, None) => record.by.clone(),
        (Some(login), None) => format!("{} ({login} logged in)", record.by),
        (None, Some(from)) => format!("{} (from {from})", record.by),
        (Some(login), Some(from)) => format!("{} ({login} logged in, from {from})", record.by),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::render::fixtures::{ASKED, look};
    use crate::model::audit::Who;
    use crate::model::names::DeploymentId;

    #[test]
    fn who_is_behind_sudo_stands_beside_who_it_was() {
        let record = |by: &str, who: Who, what: &str, detail: &str, deployment: Option<u32>| Record {
            at: ASKED,
            app: "tsh-erp".parse().unwrap(),
            deployment: deployment.map(DeploymentId),
            by: by.into(),
            who,
            what: what.into(),
            detail: detail.into(),
        };
        let olga = Who { uid: Some(0), login: Some("olga".into()), from: Some("10.0.0.7".into()) };
        let records = [
            record(
                "root",
                olga,
                "lock",
                "stocktaking until everything in the hall is counted twice, and then once more",
                None,
            ),
            record("github dependabot[bot]", Who::default(), "deploy", "main; a webhook of github", Some(43)),
            record("tsh-agent", Who::default(), "refused", "", Some(43)),
        ];
        assert_snapshot!(audit(&records, &look()), @"
        2026-11-21 14:02 lock of tsh-erp: root (olga logged in, from 10.0.0.7)
            stocktaking until everything in the hall is counted twice, and then once
            more
        2026-11-21 14:02 deploy 43 of tsh-erp: github dependabot[bot]
            main; a webhook of github
        2026-11-21 14:02 refused 43 of tsh-erp: tsh-agent
        ");
        assert_snapshot!(audit(&[], &look()), @"nothing has happened yet");
    }
}
