//! Drop-ins: what the shipped units cannot know about one application.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Facts, Generated, credentials, heading, plain};
use crate::config::Settings;
use crate::model::names::App;

pub(super) const SYSTEM: &str = "/etc/systemd/system";
/// A step ends by its own time-out, with a report; PID 1 ends one that does not.
const GRACE: Duration = Duration::from_secs(30);

/// The drop-in of the core, which is read when the core starts.
#[must_use]
pub fn core_path(app: &App) -> String {
    format!("{SYSTEM}/tsh-agent.service.d/60-{app}.conf")
}

/// All drop-ins for one application.
#[must_use]
pub fn drop_ins(settings: &Settings, facts: &Facts) -> Vec<Generated> {
    let mut all = vec![core(&settings.app), recover(settings), git(settings, "fetch"), git(settings, "ask")];
    all.push(git(settings, "plan"));
    all.extend(settings.push.poll.map(|every| poll(&settings.app, every)));
    if let Some(token) = settings.gates.forge.as_ref().and_then(|forge| forge.token.as_ref()) {
        let lines = format!("LoadCredential=forge-token:{}\n", plain(&token.to_string_lossy()));
        all.push(step(&settings.app, "gates", &lines));
    }
    all.push(step(&settings.app, "build", &timeout(settings.build.timeout)));
    if let Some(database) = &settings.database {
        all.push(step(&settings.app, "migrate", &timeout(database.timeout)));
        let identity = credentials::identity_lines(settings);
        if !identity.is_empty() {
            all.extend(["prove", "rehearse", "restore"].map(|kind| step(&settings.app, kind, &identity)));
        }
        all.extend(credentials::object_key_line(settings).map(|line| step(&settings.app, "folders", &line)));
        all.extend(settings.backup.schedule.as_ref().map(|schedule| timer(&settings.app, schedule)));
    }
    all.push(probe(settings, facts));
    all.extend(notify(settings));
    all
}

/// The secrets of the notices, each for the one step that sends.
fn notify(settings: &Settings) -> Option<Generated> {
    let mut lines = String::new();
    for notice in &settings.notices.all {
        if let Some(secret) = &notice.secret {
            let _ = writeln!(lines, "LoadCredential=notice-{}:{}", notice.name, plain(&secret.to_string_lossy()));
        }
    }
    (!lines.is_empty()).then(|| step(&settings.app, "notify", &lines))
}

fn core(app: &App) -> Generated {
    Generated::new(core_path(app), format!("{}[Service]\n{}", heading("#", app), links(app)))
}

/// The core and recovery may move links, and nothing else of the application. A folder that is missing must not keep
/// them from starting: they have other applications as well.
fn links(app: &App) -> String {
    format!("ReadWritePaths=-{}\n", crate::paths::links(app).display())
}

fn recover(settings: &Settings) -> Generated {
    let app = &settings.app;
    let mut text = heading("#", app);
    text.push_str("[Unit]\n");
    for service in settings.all_units().filter(|unit| unit.as_str().ends_with(".service")) {
        let _ = writeln!(text, "Before={service}");
    }
    let _ = write!(text, "\n[Service]\n{}", links(app));
    if settings.service.socket().is_some() {
        let _ = writeln!(text, "ReadWritePaths=-{}", super::slots::run_folder(app).display());
    }
    Generated::new(format!("{SYSTEM}/tsh-agent-recover.service.d/60-{app}.conf"), text)
}

/// A step that speaks with the remote.
fn git(settings: &Settings, kind: &str) -> Generated {
    let mut lines = timeout(settings.source.timeout);
    if let Some(key) = &settings.source.key {
        lines.push_str("# PID 1 reads the key and hands it to this step alone.\n");
        let _ = writeln!(lines, "LoadCredential=deploy-key:{}", plain(&key.to_string_lossy()));
    }
    step(&settings.app, kind, &lines)
}

/// The timer of the daily backup.
#[must_use]
pub fn backup_timer(app: &App) -> String {
    format!("tsh-agent-backup@{app}.timer")
}

/// Where its drop-in stands.
#[must_use]
pub fn timer_path(app: &App) -> String {
    format!("{SYSTEM}/{}.d/60-app.conf", backup_timer(app))
}

fn timer(app: &App, schedule: &str) -> Generated {
    // The first line forgets the time that the shipped unit has.
    let text = format!("{}[Timer]\nOnCalendar=\nOnCalendar={schedule}\n", heading("#", app));
    Generated::new(timer_path(app), text)
}

/// The timer that has the remote asked.
#[must_use]
pub fn poll_timer(app: &App) -> String {
    format!("tsh-agent-poll@{app}.timer")
}

/// Where its drop-in stands.
#[must_use]
pub fn poll_path(app: &App) -> String {
    format!("{SYSTEM}/{}.d/60-app.conf", poll_timer(app))
}

fn poll(app: &App, every: Duration) -> Generated {
    let (every, jitter) = (every.as_secs(), every.as_secs() / 10);
    let text = format!(
        "{}[Timer]\n# The first line forgets how often the shipped unit asks.\nOnUnitInactiveSec=\n\
         OnActiveSec={every}s\nOnUnitInactiveSec={every}s\nRandomizedDelaySec={jitter}s\n",
        heading("#", app)
    );
    Generated::new(poll_path(app), text)
}

fn probe(settings: &Settings, facts: &Facts) -> Generated {
    let mut lines = timeout(settings.probe.deadline.max(settings.probe.bake));
    let _ = write!(
        lines,
        "# Only who has the application's user and group may see from where its processes run.\n\
         DynamicUser=no\nUser={}\nGroup={}\n",
        settings.service.user,
        facts.unit_group.as_ref().unwrap_or(&facts.group)
    );
    step(&settings.app, "probe", &lines)
}

fn step(app: &App, kind: &str, lines: &str) -> Generated {
    let text = format!("{}[Service]\n{lines}", heading("#", app));
    Generated::new(format!("{SYSTEM}/tsh-agent-{kind}@{app}.service.d/60-app.conf"), text)
}

fn timeout(own: Duration) -> String {
    format!("TimeoutStartSec={}s\n", own.saturating_add(GRACE).as_secs())
}
