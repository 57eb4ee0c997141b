//! What a command of the build sees of the world: nothing of ours, and nothing that is not said here.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Plan, cache};

/// Where programs are, after the environment's own.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Variables of the build's commands.
pub struct Environment {
    /// All of them.
    pub variables: BTreeMap<String, String>,
    path: String,
}

impl Environment {
    /// The variables for one build; the configured ones win.
    pub fn new(plan: &Plan) -> Self {
        let cache = plan.area.join(cache::NAME);
        let in_cache = |name: &str| cache.join(name).to_string_lossy().into_owned();
        let venv = plan.venv().to_string_lossy().into_owned();
        let path = plan.settings.environment.get("PATH").map_or(PATH, String::as_str).to_owned();
        let mut variables: BTreeMap<String, String> = [
            ("HOME", in_cache("home")),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
            ("VIRTUAL_ENV", venv.clone()),
            ("UV_PROJECT_ENVIRONMENT", venv.clone()),
            ("UV_CACHE_DIR", in_cache("uv")),
            // A link into the cache would let a build command change what later builds install.
            ("UV_LINK_MODE", "copy".to_owned()),
            // An interpreter from elsewhere would live in the build's home, where the release cannot reach it.
            ("UV_PYTHON_DOWNLOADS", "never".to_owned()),
            ("UV_PYTHON_PREFERENCE", "only-system".to_owned()),
            ("UV_NO_PROGRESS", "1".to_owned()),
            ("PIP_CACHE_DIR", in_cache("pip")),
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1".to_owned()),
            ("PIP_NO_INPUT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        variables.extend(plan.settings.environment.clone());
        variables.insert("PATH".to_owned(), format!("{venv}/bin:{path}"));
        Self { variables, path }
    }

    /// Whether a program of this name is on this server.
    pub fn has(&self, program: &str) -> bool {
        let is_program =
            |path: PathBuf| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
        self.path.split(':').any(|dir| is_program(Path::new(dir).join(program)))
    }
}
