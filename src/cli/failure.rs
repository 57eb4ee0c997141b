//! What the command line says when it cannot do what it was asked.

use super::render::{self, Look};
use crate::api::client::Error;
use crate::model::outcome::Exit;

/// The group whose members may use the agent; the bus policy names it too.
pub const GROUP: &str = "tsh-ops";

/// A failure of the command line itself; a deployment that fails is a result, not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One sentence.
    pub what: String,
    /// What is true now, where that is in doubt.
    pub now: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of one sentence.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), now: None, hint: None }
    }

    /// The same with what is true now.
    #[must_use]
    pub fn now(mut self, now: impl Into<String>) -> Self {
        self.now = Some(now.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As it is shown.
    #[must_use]
    pub fn text(&self, look: &Look) -> String {
        let about = [("now", self.now.as_deref()), ("hint", self.hint.as_deref())];
        let about: Vec<_> = about.into_iter().filter_map(|(label, text)| Some((label, text?))).collect();
        render::error(&self.what, &about, look)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::Refused(refusal) => Self { exit: refusal.kind.exit(), what, now: None, hint: refusal.hint },
            Error::NoBus(_) => Self::new(Exit::Untouched, what).hint("`systemctl status dbus` says why"),
            Error::NotRunning => Self::new(Exit::Untouched, what)
                .now("nothing was asked; the application does not need the agent to run")
                .hint("`systemctl status tsh-agent` says why"),
            Error::Denied => Self::new(Exit::Refused, what).hint(admission()),
            Error::Lost => Self::new(Exit::Unknown, what)
                .now("what was asked may have been done")
                .hint("`systemctl status tsh-agent`, then `tsh-agent history`"),
            Error::Strange(_) => Self::new(Exit::Unknown, what)
                .hint("agent and command line may be of different versions: `systemctl restart tsh-agent`"),
        }
    }
}

/// How this user gets in.
fn admission() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let group = nix::unistd::Group::from_name(GROUP).ok().flatten();
    match (user, group) {
        (Some(user), Some(group)) if group.mem.contains(&user.name) => {
            format!("you are in group {GROUP}, but this session is older than that: log out and in again")
        }
        (user, _) => {
            let name = user.map_or_else(|| "NAME".to_owned(), |user| user.name);
            format!("`sudo usermod -aG {GROUP} {name}`, then log out and in again")
        }
    }
}
