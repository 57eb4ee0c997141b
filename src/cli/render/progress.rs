//! A deployment while it runs: what is finished stands, what runs is redrawn in one live line.

use super::{Look, Tone, rehearsal, step, text};
use crate::model::step::Step;
use crate::model::view::{DeploymentView, StepView};

/// What is on the screen already.
#[derive(Debug, Default)]
pub struct Progress {
    headed: bool,
    steps: usize,
    going_back: bool,
    live: bool,
}

impl Progress {
    /// The first step that is not on the screen as finished.
    #[must_use]
    pub fn pending<'a>(&self, view: &'a DeploymentView) -> &'a [StepView] {
        view.steps.get(self.steps..).unwrap_or_default()
    }

    /// The first line, once.
    #[must_use]
    pub fn heading(&mut self, view: &DeploymentView, look: &Look) -> String {
        if std::mem::replace(&mut self.headed, true) {
            return String::new();
        }
        text::fit(&heading(view), look.width) + "\n"
    }

    /// The next step that is over and not on the screen.
    #[must_use]
    pub fn finished(&mut self, view: &DeploymentView, look: &Look) -> Option<String> {
        let attempt = self.pending(view).first().filter(|attempt| is_over(attempt, view))?;
        let mut out = self.clear();
        self.steps += 1;
        if attempt.step.is_back() && !self.going_back {
            self.going_back = true;
            out += &format!("  {}\n", look.paint(Tone::Odd, &back(view)));
        }
        let more = match (&view.rehearsal, attempt.step) {
            (Some(found), Step::Rehearse) if attempt.state == "done" => rehearsal::note(found, look),
            _ => String::new(),
        };
        Some(out + &step(attempt, look) + &more)
    }

    /// The live line for the step that runs; the next call of any kind replaces it.
    #[must_use]
    pub fn running(&mut self, view: &DeploymentView, look: &Look) -> String {
        let out = self.clear();
        let Some(attempt) = self.pending(view).first().filter(|attempt| !is_over(attempt, view)) else { return out };
        self.live = true;
        // Columns stay free: a full line makes some terminals wrap, as `^C` behind it does, and then it cannot be redrawn.
        let narrow = Look { width: look.width.saturating_sub(3), ..look.clone() };
        out + step(attempt, &narrow).trim_end_matches('\n')
    }

    /// Lines that the running step says.
    #[must_use]
    pub fn said(&mut self, lines: &[String], look: &Look) -> String {
        let mut out = self.clear();
        for line in lines {
            let line = text::cut(line, look.width.saturating_sub(6));
            out += &format!("    {} {line}\n", look.paint(Tone::Faint, "|"));
        }
        out
    }

    /// Something about the watching itself.
    #[must_use]
    pub fn note(&mut self, text: &str, look: &Look) -> String {
        format!("{}  {}\n", self.clear(), look.paint(Tone::Faint, text))
    }

    /// What it waits for, whole.
    #[must_use]
    pub fn waits(&mut self, words: &str, look: &Look) -> String {
        let mut out = self.clear();
        for line in text::wrap(&format!("waits for {words}"), look.width.saturating_sub(4).max(20)) {
            out += &format!("    {}\n", look.paint(Tone::Odd, &line));
        }
        out
    }

    /// Removes the live line.
    #[must_use]
    pub fn clear(&mut self) -> String {
        if std::mem::take(&mut self.live) { "\r\u{1b}[K".to_owned() } else { String::new() }
    }
}

/// A step that runs while the deployment has ended will not be heard of again.
fn is_over(attempt: &StepView, view: &DeploymentView) -> bool {
    !matches!(attempt.state.as_str(), "running" | "waiting") || view.verdict.is_some()
}

fn heading(view: &DeploymentView) -> String {
    let what = match view.kind.as_str() {
        "rollback" => "back to",
        "restore" => "restoring",
        _ => "deploying",
    };
    format!("deployment {} of {}: {what} {} (asked for by {})", view.id, view.app, view.wanted, view.by)
}

fn back(view: &DeploymentView) -> String {
    match (view.from, &view.from_revision) {
        (Some(release), Some(revision)) => format!("going back to release {release} ({})", revision.short()),
        (Some(release), None) => format!("going back to release {release}"),
        (None, _) => "undoing; there is no release to go back to".to_owned(),
    }
}
