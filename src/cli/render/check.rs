//! What `check` found: a line each, and under what is not as it should be, the command that mends it.

use super::{Look, Tone, text};
use crate::model::finding::{Finding, Level};
use crate::model::names::App;

/// Mark, area and two spaces between.
const AREA: usize = 13;
/// The column in which the sentence begins.
const SENTENCE: usize = 4 + AREA + 1;

/// The screen. What is wrong is last, above the sum, where the eye is when the rest has scrolled by.
#[must_use]
pub fn check(app: &App, findings: &[Finding], look: &Look) -> String {
    let mut out = String::new();
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|found| match found.level {
        Level::Ok => 0,
        Level::NotChecked => 1,
        Level::Warning => 2,
        Level::Bad => 3,
    });
    for found in sorted {
        out += &finding(found, look);
    }
    let count = |level: Level| findings.iter().filter(|found| found.level == level).count();
    let (bad, warnings, skipped) = (count(Level::Bad), count(Level::Warning), count(Level::NotChecked));
    let (tone, word) = match (bad, warnings) {
        (0, 0) => (Tone::Good, "good"),
        (0, _) => (Tone::Odd, "good, with warnings"),
        _ => (Tone::Bad, "bad"),
    };
    let counts =
        [(bad, "bad"), (warnings, if warnings == 1 { "warning" } else { "warnings" }), (skipped, "not checked")];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    out + &format!("{app} is {}{counts}\n", look.paint(tone, word))
}

fn finding(found: &Finding, look: &Look) -> String {
    let (tone, mark) = match found.level {
        Level::Ok => (Tone::Good, "✓"),
        Level::NotChecked => (Tone::Faint, "·"),
        Level::Warning => (Tone::Odd, "!"),
        Level::Bad => (Tone::Bad, "✗"),
    };
    let what = match found.level {
        Level::NotChecked => format!("not checked: {}", found.what),
        _ => found.what.clone(),
    };
    let mut out = String::new();
    for line in text::wrap(&what, look.width.saturating_sub(SENTENCE).max(20)) {
        out += &match out.is_empty() {
            true => format!("  {} {} {line}\n", look.paint(tone, mark), text::pad(&text::fit(&found.area, AREA), AREA)),
            false => format!("{}{line}\n", " ".repeat(SENTENCE)),
        };
    }
    if let Some(mend) = &found.mend {
        // Short enough or not, it stays one line: it is there to be copied.
        out += &format!("{}{} {mend}\n", " ".repeat(4), look.paint(Tone::Faint, "→"));
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::fixtures::look;
    use super::*;

    #[test]
    fn what_check_found() {
        let app = "tsh-erp".parse().unwrap();
        let good = vec![
            Finding::ok("configuration", "/etc/tsh-agent/apps/tsh-erp.toml is valid"),
            Finding::ok("unit", "tsh-erp.service runs as deploy from /srv/tsh-erp/current"),
        ];
        let mut bad = good.clone();
        bad.push(
            Finding::bad("unit", "tsh-erp-worker.service is masked, so nothing can start it")
                .mend("sudo systemctl unmask tsh-erp-worker.service"),
        );
        bad.push(Finding::not_checked("deploy key", "/etc/tsh-agent/credentials/tsh-erp.key: needs root"));
        bad.push(
            Finding::warning("clock", "it is not synchronised: times in history and backups may be wrong")
                .mend("sudo timedatectl set-ntp true"),
        );
        assert_snapshot!(check(&app, &good, &look()), @"
          ✓ configuration /etc/tsh-agent/apps/tsh-erp.toml is valid
          ✓ unit          tsh-erp.service runs as deploy from /srv/tsh-erp/current
        tsh-erp is good
        ");
        assert_snapshot!(check(&app, &bad, &look()), @"
          ✓ configuration /etc/tsh-agent/apps/tsh-erp.toml is valid
          ✓ unit          tsh-erp.service runs as deploy from /srv/tsh-erp/current
          · deploy key    not checked: /etc/tsh-agent/credentials/tsh-erp.key: needs
                          root
          ! clock         it is not synchronised: times in history and backups may be
                          wrong
            → sudo timedatectl set-ntp true
          ✗ unit          tsh-erp-worker.service is masked, so nothing can start it
            → sudo systemctl unmask tsh-erp-worker.service
        tsh-erp is bad (1 bad, 1 warning, 1 not checked)
        ");
    }
}
