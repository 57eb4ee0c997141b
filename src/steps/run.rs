//! The frame around every step: configuration, request, log fields, report, exit code.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tracing::Instrument;

use super::output::{report, say};
use super::{Job, Outcome};
use crate::logging::{self, Logger};
use crate::model::journal::Cause;
use crate::model::names::App;
use crate::model::request::{Report, Request};
use crate::paths;

/// A request is a few ids; anything larger is not one.
const LARGEST_REQUEST: u64 = 64 * 1024;

/// Runs one step and says what came of it. Returns the exit code: 0 it did its work, 1 it failed, 2 it was asked badly.
pub async fn run(kind: &str, app: &App) -> u8 {
    logging::init(Logger::Step);
    // A child of the same user must not be able to trace the step and forge its report.
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!("children of this step could trace it: {error}");
    }
    let (outcome, code) = match prepare(kind, app) {
        Err(cause) => (Err(cause), 2),
        Ok(job) => {
            let span = match job.request.for_deployment() {
                Some(deployment) => tracing::info_span!(
                    "step",
                    tsh_app = %app,
                    tsh_deployment = %deployment,
                    tsh_release = %job.request.release,
                    tsh_step = kind
                ),
                None => tracing::info_span!("step", tsh_app = %app, tsh_step = kind),
            };
            (dispatch(kind, &job).instrument(span).await, 1)
        }
    };
    let (answer, code) = match outcome {
        Ok(output) => (Report::Done(output), 0),
        Err(cause) => {
            say(&cause.what);
            (Report::Failed(cause), code)
        }
    };
    let invocation = std::env::var("INVOCATION_ID").unwrap_or_default();
    match report(&answer, &invocation) {
        Ok(()) => code,
        Err(error) => {
            tracing::error!("cannot write the report: {error}");
            code.max(1)
        }
    }
}

/// Reads what the step needs, trusting only root's files.
fn prepare(kind: &str, app: &App) -> Result<Job, Cause> {
    let request = read_request(&paths::request(app, kind))?;
    if request.work.kind() != kind {
        return Err(Cause::new(format!("bad request: it is not for the step {kind}")));
    }
    let settings = crate::config::load(app).map_err(|error| Cause::new(error.to_string()))?;
    Ok(Job::new(settings, request))
}

/// Reads and checks the request.
fn read_request(path: &Path) -> Result<Request, Cause> {
    let bad = |why: String| Cause::new(format!("bad request: {}: {why}", path.display()));
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file: File =
        File::options().read(true).custom_flags(flags.bits()).open(path).map_err(|error| bad(error.to_string()))?;
    let meta = file.metadata().map_err(|error| bad(error.to_string()))?;
    if !meta.is_file() || meta.len() > LARGEST_REQUEST {
        return Err(bad("it is not a small regular file".to_owned()));
    }
    let mut text = String::new();
    file.take(LARGEST_REQUEST).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
}

/// The step of each kind.
async fn dispatch(kind: &str, job: &Job) -> Outcome {
    match kind {
        "fetch" => super::fetch::run(job).await,
        "ask" => super::fetch::ask::run(job).await,
        "plan" => super::fetch::plan::run(job).await,
        "gates" => super::gates::run(job).await,
        "build" => super::build::run(job).await,
        "seal" => super::seal::run(job).await,
        "probe" => super::probe::run(job).await,
        "inspect" => super::inspect::run(job).await,
        "folders" => super::folders::run(job).await,
        "backup" => super::backup::run(job).await,
        "prove" => super::prove::run(job).await,
        "rehearse" => super::rehearse::run(job).await,
        "restore" => super::restore::run(job).await,
        "migrate" => super::migrate::run(job).await,
        "gauge" => super::gauge::run(job).await,
        "prune" => super::prune::run(job).await,
        "notify" => super::notify::run(job).await,
        _ => Err(Cause::new(format!("unknown step {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Cause> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request.json");
        std::fs::write(&path, text).unwrap();
        read_request(&path)
    }

    #[test]
    fn a_request_holds_ids_and_nothing_else() {
        let good =
            r#"{"deployment":42,"release":42,"work":{"seal":{"revision":"0123456789abcdef0123456789abcdef01234567"}}}"#;
        assert_eq!(read(good).unwrap().work.kind(), "seal");
        for bad in [
            good.replace("\"release\":42", "\"release\":\"../41\""),
            good.replace("0123456789abcdef0123", "../../../etc/passwd;"),
            good.replace("\"deployment\"", "\"command\":\"id\",\"deployment\""),
            good.replace("\"revision\"", "\"argv\":[\"id\"],\"revision\""),
            good.replace("seal", "shell"),
            String::new(),
        ] {
            let cause = read(&bad).unwrap_err();
            assert!(cause.what.starts_with("bad request: "), "{bad}: {cause:?}");
        }
        assert!(read(&format!("{good}{}", " ".repeat(70_000))).unwrap_err().what.contains("not a small regular file"));
    }

    #[test]
    fn a_request_is_not_read_through_a_link_or_from_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("request.json");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(read_request(&link).unwrap_err().what.contains("symbolic link"));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(read_request(&pipe).unwrap_err().what.contains("not a small regular file"));
    }
}
