//! What stands between the application and PostgreSQL. A pooler such as PgBouncer is kept out by the fence like everybody
//! else; but once it was refused, it may refuse the application for a while after the fence is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Me;
use crate::config::{Database, MigrationLane, Settings};
use crate::init::database::{app_environment, port};
use crate::init::listening::{Listener, listeners};
use crate::model::finding::Finding;

/// Where PostgreSQL listens that the agent cares for.
const OWN: u16 = 5432;
/// Where PgBouncer is configured, unless its command line names another file.
const CONFIGURED: &str = "/etc/pgbouncer/pgbouncer.ini";
/// How long it refuses after it was refused, unless it is configured (`server_login_retry`).
const RETRY: Duration = Duration::from_secs(15);
/// So long is nothing beside a window.
const SHORT: Duration = Duration::from_secs(2);

/// Who answers where the application's environment says that its database is.
pub fn look(settings: &Settings, me: &Me) -> Option<Finding> {
    let fenced = |database: &&Database| database.lane != MigrationLane::Stop;
    settings.database.as_ref().filter(fenced)?;
    if !me.root {
        return Some(Finding::not_checked("database", "whether a pooler stands before it: needs root"));
    }
    // Whether the file can be read is another finding.
    let environment = fs::read_to_string(app_environment(&settings.app)).ok()?;
    let at = port(&environment).filter(|port| *port != OWN)?;
    let by = listeners(Some(at)).map(|(by, _)| by).unwrap_or_default();
    let retry = |pid| {
        let file = configured(pid);
        let retry = fs::read_to_string(&file).map(|text| retry(&text)).map_err(|error| error.to_string());
        (file, retry)
    };
    Some(stands_before(at, by.first(), settings.probe.deadline, retry))
}

/// The file on the command line of a PgBouncer.
fn configured(pid: u32) -> PathBuf {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&line).into_owned();
    words.split('\0').rfind(|word| word.ends_with(".ini")).unwrap_or(CONFIGURED).into()
}

/// `server_login_retry` in PgBouncer's file, in seconds there.
fn retry(text: &str) -> Duration {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "server_login_retry").then(|| value.trim().parse::<f64>().ok())?
    };
    let set = text.lines().filter_map(value).next_back();
    set.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(RETRY)
}

fn stands_before(
    port: u16,
    by: Option<&Listener>,
    deadline: Duration,
    retry: impl Fn(u32) -> (PathBuf, Result<Duration, String>),
) -> Finding {
    let area = "database";
    let Some(by) = by else {
        let what = format!("the application asks for PostgreSQL at port {port}; nobody is seen to listen there");
        return Finding::not_checked(area, what);
    };
    let program = by.program.as_str();
    if program.starts_with("postgres") {
        let what = format!(
            "the application uses the PostgreSQL at port {port}, and tsh-agent the one at {OWN}: it would fence, copy \
             and back up another database"
        );
        return Finding::bad(area, what).mend(format!("let the application's server listen at {OWN}: pg_lsclusters"));
    }
    if program != "pgbouncer" {
        let what = format!(
            "the application reaches PostgreSQL through {program} at port {port}, with which nothing here was tried"
        );
        return Finding::warning(area, what).mend(format!("how long does {program} refuse after it was refused once?"));
    }
    let (file, retry) = retry(by.pid);
    pgbouncer(port, &file, retry, deadline)
}

fn pgbouncer(port: u16, file: &Path, retry: Result<Duration, String>, deadline: Duration) -> Finding {
    let area = "database";
    let through = format!("the application reaches PostgreSQL through PgBouncer at port {port}");
    let retry = match retry {
        Ok(retry) => retry,
        Err(why) => return Finding::not_checked(area, format!("{through}; {}: {why}", file.display())),
    };
    let seconds = retry.as_secs_f64();
    if retry <= SHORT {
        return Finding::ok(area, format!("{through}, which asks again {seconds} s after it was refused"));
    }
    let mend = format!("set server_login_retry = 1 in {}, then sudo systemctl reload pgbouncer", file.display());
    let refuses = format!("{through}, which refuses for {seconds} s after the fence has refused it once");
    if retry >= deadline {
        let within = deadline.as_secs();
        let what = format!("{refuses}; that is past probe.deadline ({within} s), so a good release may be taken back");
        return Finding::bad(area, what).mend(mend);
    }
    Finding::warning(area, format!("{refuses}; a fenced deployment may stand still for so much longer")).mend(mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    fn told(program: &str, retry: &str, deadline: u64) -> (Level, String, String) {
        let by = Listener { port: 6432, program: program.into(), pid: 7, unit: None };
        let asked = |_| (PathBuf::from("/etc/p.ini"), Ok(super::retry(retry)));
        let found = stands_before(6432, Some(&by), Duration::from_secs(deadline), asked);
        (found.level, found.what, found.mend.unwrap_or_default())
    }

    #[test]
    fn a_pooler_that_refuses_for_long_is_told_with_what_mends_it() {
        let (level, what, mend) = told("pgbouncer", "[pgbouncer]\n;server_login_retry = 1\n", 60);
        assert_eq!(level, Level::Warning);
        assert!(what.contains("PgBouncer at port 6432, which refuses for 15 s after"), "{what}");
        assert_eq!(mend, "set server_login_retry = 1 in /etc/p.ini, then sudo systemctl reload pgbouncer");
        assert_eq!(told("pgbouncer", "", 15).0, Level::Bad, "the probe gives up before the pooler asks again");
        assert_eq!(told("pgbouncer", "server_login_retry=9\nserver_login_retry = 0.5\n", 60).0, Level::Ok);
        let unread = pgbouncer(6432, Path::new("/x"), Err("it is not there".into()), RETRY);
        assert_eq!(unread.level, Level::NotChecked);
    }

    #[test]
    fn another_server_is_not_the_one_that_is_cared_for() {
        let (level, what, _) = told("postgres", "", 60);
        assert_eq!((level, what.contains("another database")), (Level::Bad, true));
        assert_eq!(told("pgcat", "", 60).0, Level::Warning);
        assert_eq!(stands_before(6432, None, RETRY, |_| unreachable!()).level, Level::NotChecked);
    }
}
