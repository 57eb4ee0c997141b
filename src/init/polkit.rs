//! What the core may do to the units of one application.

use super::{Generated, heading};
use crate::config::Settings;

/// A rule for exactly the listed units. It is asked before 50-tsh-agent.rules, which refuses what no rule allows.
#[must_use]
pub fn rule(settings: &Settings) -> Generated {
    let app = &settings.app;
    let units: Vec<String> = settings.all_units().map(|unit| format!("        {:?}", unit.as_str())).collect();
    let text = format!(
        r#"{}polkit.addRule(function (action, subject) {{
    if (subject.user != "tsh-agent" || action.id != "org.freedesktop.systemd1.manage-units")
        return polkit.Result.NOT_HANDLED;
    var units = [
{}
    ];
    var verbs = ["start", "stop", "restart", "reset-failed"];
    if (units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0)
        return polkit.Result.YES;
    return polkit.Result.NOT_HANDLED;
}});
"#,
        heading("//", app),
        units.join(",\n")
    );
    Generated::new(format!("/etc/polkit-1/rules.d/49-tsh-agent-{app}.rules"), text)
}
