//! The door in nginx.

use std::path::{Path, PathBuf};

use super::{Generated, heading};
use crate::model::names::App;
use crate::paths;

/// The snippet that a server block includes. The files are looked for at each request, so closing needs no reload, and a
/// closed door is still closed after a power cut.
#[must_use]
pub fn snippet(app: &App) -> Generated {
    let place = format!("@tsh-agent-{app}");
    let text = format!(
        "{}# {}
error_page 503 {place};
if (-f {door}) {{
    return 503;
}}
if (-f {maintenance}) {{
    return 503;
}}
location {place} {{
    default_type text/plain;
    add_header Retry-After 30 always;
    add_header Cache-Control no-store always;
    if (-f {maintenance}) {{
        return 503 \"Closed for maintenance. Please try again later.\\n\";
    }}
    return 503 \"A new version is being installed. Please try again in a moment.\\n\";
}}
",
        heading("#", app),
        "Include it in the server block, above any error_page 503 of your own.",
        door = paths::door(app).display(),
        maintenance = paths::maintenance(app).display(),
    );
    Generated::new(snippet_path(app), text)
}

/// Whether this server has nginx.
#[must_use]
pub fn has_nginx() -> bool {
    Path::new("/etc/nginx/nginx.conf").exists()
}

/// Where the snippet stands.
#[must_use]
pub fn snippet_path(app: &App) -> PathBuf {
    format!("/etc/nginx/snippets/tsh-agent-{app}.conf").into()
}

/// Whether the snippet as it stands there keeps people out for maintenance as well: one of an earlier version does not.
///
/// # Errors
/// If it cannot be read.
pub fn knows_maintenance(app: &App) -> std::io::Result<bool> {
    let text = std::fs::read_to_string(snippet_path(app))?;
    Ok(text.contains(&format!("(-f {})", paths::maintenance(app).display())))
}

/// The line that includes it.
#[must_use]
pub fn include_line(app: &App) -> String {
    format!("include snippets/tsh-agent-{app}.conf;")
}

/// Whether nginx reads the snippet, from what `nginx -T` prints: each file it read is announced by its path.
#[must_use]
pub fn is_included(app: &App, dump: &str) -> bool {
    let announced = format!("# configuration file {}:", snippet_path(app).display());
    dump.lines().any(|line| line == announced)
}
