//! Who else may speak to the agent about one application.

use std::fmt::Write as _;

use super::{Generated, heading};
use crate::config::Settings;
use crate::model::names::App;

/// Users of this server may say that something was pushed, and nothing else. The core asks whether they may for this
/// application.
#[must_use]
pub fn policy(settings: &Settings) -> Option<Generated> {
    let app = &settings.app;
    if settings.push.users.is_empty() {
        return None;
    }
    let mut text = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n  \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n",
    );
    let _ = writeln!(text, "<!--{}-->\n<busconfig>", heading("", app).trim_end());
    for user in &settings.push.users {
        let _ = writeln!(
            text,
            "  <policy user=\"{user}\">\n    <allow send_destination=\"sale.tsh.Agent1\" \
             send_interface=\"sale.tsh.Agent1.Face\" send_member=\"Push\"/>\n  </policy>"
        );
    }
    text.push_str("</busconfig>\n");
    Some(Generated::new(policy_path(app), text))
}

/// Where it stands.
#[must_use]
pub fn policy_path(app: &App) -> String {
    format!("/etc/dbus-1/system.d/tsh-agent-{app}.conf")
}
