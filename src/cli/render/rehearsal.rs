//! What a rehearsal found.

use super::{FIELD, Look, Tone, field, fields, text};
use crate::model::lane::{Lane, seconds};
use crate::model::rehearsal::{Answer, Rehearsal, Trial};
use crate::model::view::DeploymentView;

/// Locks that are told.
const LOCKS: usize = 5;

/// Everything, as `show` has it.
#[must_use]
pub fn report(found: &Rehearsal, look: &Look) -> String {
    let migration = &found.migration;
    let s = |count: u64| if count == 1 { "" } else { "s" };
    let mut lines = vec![
        format!(
            "backup {} of {} MB, {} row{}, proven in {}",
            found.backup,
            found.database_bytes / 1_000_000,
            found.rows,
            s(found.rows),
            seconds(found.proof)
        ),
        format!(
            "migrated in {}, {} transaction{}, {} MB of log",
            seconds(migration.took),
            migration.transactions,
            s(migration.transactions),
            migration.log_bytes / 1_000_000
        ),
    ];
    lines.extend(
        migration
            .locks
            .iter()
            .take(LOCKS)
            .map(|lock| format!("lock {} on {} for {}", lock.mode_words(), lock.table, seconds(lock.ms))),
    );
    let named = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
    lines.extend(named("rewritten", &migration.rewritten));
    lines.extend(named("holds for new rows only", &migration.unvalidated));
    lines.extend(migration.slowest.as_ref().map(|slow| format!("slowest, {}: {}", seconds(slow.ms), slow.text)));
    lines.extend(trial("new release", &found.new));
    lines.extend(found.old.iter().flat_map(|old| trial("old release", old)));
    fields("rehearsal", &lines, look) + &fields("not online", &found.against, look)
}

/// How long production stood still, and how long it was to.
#[must_use]
pub fn window(view: &DeploymentView, look: &Look) -> String {
    let Some(real) = view.window else { return String::new() };
    let predicted = view.rehearsal.as_ref().and_then(|found| found.window);
    let predicted = predicted.map(|window| format!(" ({} were predicted)", seconds(window.predicted)));
    field("window", &format!("closed for {}{}", seconds(real), predicted.unwrap_or_default()), look)
}

fn trial(who: &str, trial: &Trial) -> Option<String> {
    let word = |what: &str, answer: &Option<Answer>| match answer {
        None => None,
        Some(Answer::Passed(_)) => Some(format!("{what} passed")),
        Some(Answer::Failed(_)) => Some(format!("{what} FAILED")),
    };
    let words: Vec<String> = [word("smoke", &trial.smoke), word("probe", &trial.probe)].into_iter().flatten().collect();
    (!words.is_empty()).then(|| format!("{who} on the new schema: {}", words.join(", ")))
}

/// Below the step: why this lane, and how long production will stand still.
#[must_use]
pub fn note(found: &Rehearsal, look: &Look) -> String {
    let why = match found.against.as_slice() {
        [] if found.lane == Lane::Online => "the old release lives on the new schema, and nobody waits long".to_owned(),
        [] => return String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    };
    let mut lines = vec![why];
    if let (Lane::Fenced, Some(window)) = (found.lane, found.window) {
        let (whole, twin, migrate) = (seconds(window.predicted), seconds(window.twin), seconds(window.migrate));
        lines.push(format!("production will stand still for {whole} (copy {twin}, migrate {migrate})"));
    }
    let indent = FIELD + 5;
    let lines = lines.iter().flat_map(|line| text::wrap(line, look.width.saturating_sub(indent).max(20)));
    lines.map(|line| format!("{}{}\n", " ".repeat(indent), look.paint(Tone::Faint, &line))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::look;
    use super::*;
    use crate::model::rehearsal::{Held, Statement, testing::good};

    #[test]
    fn a_report_names_what_was_seen() {
        let mut found = good("0003_total");
        found.migration.locks =
            vec![Held { table: "public.orders".into(), mode: "AccessExclusiveLock".into(), ms: 4200 }];
        found.migration.rewritten = vec!["public.orders".into()];
        found.migration.slowest = Some(Statement { text: "ALTER TABLE orders".into(), ms: 4100 });
        found.old.as_mut().unwrap().probe = Some(Answer::Failed("no".into()));
        found.against = vec!["public.orders is locked for 4.2 s (ACCESS EXCLUSIVE)".into(), "another reason".into()];
        insta::assert_snapshot!(report(&found, &look()) + &note(&found, &look()), @"
        rehearsal:  backup 2-20261121T031500Z of 1073 MB, 10 rows, proven in 2.0 s
                    migrated in 0.7 s, 1 transaction, 0 MB of log
                    lock ACCESS EXCLUSIVE on public.orders for 4.2 s
                    rewritten: public.orders
                    slowest, 4.1 s: ALTER TABLE orders
                    new release on the new schema: smoke passed, probe passed
                    old release on the new schema: smoke passed, probe FAILED
        not online: public.orders is locked for 4.2 s (ACCESS EXCLUSIVE)
                    another reason
                         public.orders is locked for 4.2 s (ACCESS EXCLUSIVE); and 1
                         more
        ");
        found.against.clear();
        found.lane = Lane::Online;
        assert!(note(&found, &look()).contains("lives on the new schema"));
    }
}
