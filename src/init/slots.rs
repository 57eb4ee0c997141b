//! The socket of an application and the slots behind it, which the agent's launcher serves.

use std::path::PathBuf;

use super::units::SYSTEM;
use super::{Facts, Generated, heading, plain};
use crate::config::{Serve, Settings};
use crate::model::names::App;
use crate::paths;

/// Beyond the drain deadline, for what the application does when it ends.
const GRACE: u64 = 10;

/// The socket and the template of the slots; nothing for an application with units of its own.
#[must_use]
pub fn units(settings: &Settings, facts: &Facts) -> Vec<Generated> {
    let Some(serve) = settings.service.socket() else { return Vec::new() };
    vec![socket(&settings.app, serve), slot(settings, serve, facts)]
}

/// The unit of the socket.
#[must_use]
pub fn socket_unit(app: &App) -> String {
    format!("{app}.socket")
}

fn socket(app: &App, serve: &Serve) -> Generated {
    let text = format!(
        "{}[Unit]
Description={app}, the socket that its slots share

[Socket]
# With its address: a port alone would be open to the world.
ListenStream={}
# Small answers over connections that are kept must not wait for an acknowledgement.
NoDelay=yes
Backlog=4096
# Who is started by a request when nobody runs. Its link is the live release's then.
Service={app}@a.service
# A socket that gives up is an outage; what is behind it is started again by itself.
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
",
        heading("#", app),
        serve.listen.map(|at| at.to_string()).unwrap_or_default()
    );
    Generated::new(format!("{SYSTEM}/{}", socket_unit(app)), text)
}

fn slot(settings: &Settings, serve: &Serve, facts: &Facts) -> Generated {
    let (app, build) = (&settings.app, &settings.build);
    let option = |name: &str, value: &str| format!(" --{name}={}", word(value));
    let mut options = option("venv", &build.venv.to_string_lossy());
    if !build.workdir.as_os_str().is_empty() {
        options += &option("workdir", &build.workdir.to_string_lossy());
    }
    let drain = serve.drain.as_secs();
    let text = format!(
        "{}[Unit]
Description={app}, slot %i
Requires={app}.socket
After={app}.socket network.target postgresql.service
# A release that dies again and again is stopped by the agent; a start limit would take the socket down with it.
StartLimitIntervalSec=0

[Service]
# Ready when the application has started, and not before.
Type=notify
NotifyAccess=main
User={}
Group={}
EnvironmentFile=-{}
Environment=PYTHONUNBUFFERED=1
Sockets={app}.socket
# The flag belongs to the socket that both slots have: one that starts must not make the other's accept() block.
NonBlocking=yes
# The private way in lies here.
RuntimeDirectory=%p-%i
RuntimeDirectoryMode=0700
# It resolves the slot's link itself, so that a running process never sees it move.
ExecStart=/usr/lib/tsh-agent/serve {app} %i {} --drain={drain}{options}
KillMode=mixed
TimeoutStartSec={}s
TimeoutStopSec={}s
Restart=always
RestartSec=500ms
NoNewPrivileges=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
",
        heading("#", app),
        settings.service.user,
        facts.unit_group.as_ref().unwrap_or(&facts.group),
        super::database::app_environment(app).display(),
        serve.app.as_deref().unwrap_or_default(),
        settings.probe.deadline.as_secs() + GRACE,
        drain + GRACE,
    );
    Generated::new(template_path(app), text)
}

/// Where the template of the slots stands.
#[must_use]
pub fn template_path(app: &App) -> PathBuf {
    format!("{SYSTEM}/{app}@.service").into()
}

/// The folder of the file that says which slot serves.
#[must_use]
pub fn run_folder(app: &App) -> PathBuf {
    PathBuf::from(paths::RUN).join(app.as_str())
}

/// One word of a command line of systemd.
fn word(text: &str) -> String {
    let text = plain(text).replace('$', "$$");
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-%$".contains(&b)) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
