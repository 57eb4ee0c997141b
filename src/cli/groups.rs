//! Log groups: what the steps say is folded where a CI system shows it.

use crate::model::step::Step;

/// A CI system that folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// GitHub's runners, and those of Gitea and Forgejo, which understand the same.
    Github,
    /// GitLab's.
    Gitlab,
}

impl Groups {
    /// The CI system this program runs in, if it is one that folds.
    #[must_use]
    pub fn here() -> Option<Self> {
        let is = |name: &str| std::env::var_os(name).is_some_and(|value| value == "true");
        if is("GITHUB_ACTIONS") {
            Some(Self::Github)
        } else if is("GITLAB_CI") {
            Some(Self::Gitlab)
        } else {
            None
        }
    }

    /// Begins the group of a step; `at` is now, in milliseconds since 1970 (UTC).
    #[must_use]
    pub fn begin(self, step: Step, at: i64) -> String {
        let word = step.word();
        match self {
            Self::Github => format!("::group::{word}\n"),
            Self::Gitlab => {
                format!("\u{1b}[0Ksection_start:{}:{word}[collapsed=true]\r\u{1b}[0K{word}\n", at / 1000)
            }
        }
    }

    /// Ends it.
    #[must_use]
    pub fn end(self, step: Step, at: i64) -> String {
        match self {
            Self::Github => "::endgroup::\n".to_owned(),
            Self::Gitlab => format!("\u{1b}[0Ksection_end:{}:{}\r\u{1b}[0K\n", at / 1000, step.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_reads_its_own_marks() {
        let all = |groups: Groups| groups.begin(Step::Build, 7_000) + &groups.end(Step::Build, 9_500);
        assert_eq!(all(Groups::Github), "::group::build\n::endgroup::\n");
        let gitlab = all(Groups::Gitlab).replace('\u{1b}', "ESC").replace('\r', "CR");
        assert_eq!(
            gitlab,
            "ESC[0Ksection_start:7:build[collapsed=true]CRESC[0Kbuild\nESC[0Ksection_end:9:buildCRESC[0K\n"
        );
    }
}
