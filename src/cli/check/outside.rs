//! What is not ours and a deployment needs all the same: nginx, polkit, the clock, the forge.

use std::time::Duration;

use super::Me;
use crate::config::Settings;
use crate::init::machine::run;
use crate::init::{door, needs_door};
use crate::model::finding::{Finding, Level};
use crate::model::names::App;

/// Rules in JavaScript need this polkit at least.
const RULES: u32 = 106;
/// What the rules are tested with at least; before it polkit ran them on another engine.
const TESTED: u32 = 121;
/// Whoever does not answer in this time is not there for a fetch either.
const ANSWER: Duration = Duration::from_secs(3);

/// Everything in this file.
pub async fn look(settings: &Settings, me: &Me) -> Vec<Finding> {
    let mut found = Vec::new();
    let needed = needs_door(settings);
    if needed || door::has_nginx() {
        found.push(match me.root {
            true => hung(&settings.app, needed, run(&["nginx", "-T"], "").map_err(|failure| failure.to_string())),
            false => Finding::not_checked("door", "whether nginx has it: needs root"),
        });
    }
    found.push(polkit());
    found.push(clock(run(&["timedatectl", "show", "--property=NTPSynchronized", "--value"], "").ok().as_deref()));
    found.push(remote(&settings.source.url).await);
    found
}

/// Without it a deployment that needs it is wrong; else only maintenance is.
fn hung(app: &App, needed: bool, dump: Result<String, String>) -> Finding {
    let (level, without) = match needed {
        true => (Level::Bad, "nobody is kept out during a migration"),
        false => (Level::Warning, "`maintenance on` would keep nobody out"),
    };
    match dump {
        Err(why) => Finding::new(level, "door", format!("nginx -T does not succeed: {why}")).mend("sudo nginx -t"),
        Ok(dump) if door::is_included(app, &dump) => Finding::ok("door", "nginx has it"),
        Ok(_) => {
            let line = door::include_line(app);
            Finding::new(level, "door", format!("nginx does not have it, so {without}"))
                .mend(format!("add `{line}` to the server block, then sudo systemctl reload nginx"))
        }
    }
}

/// Whether the polkit that is here reads the rules that let the agent start its steps.
pub fn polkit() -> Finding {
    judged(run(&["pkaction", "--version"], "").ok().as_deref())
}

/// `pkaction version 122`, or `0.105` as it was counted once.
fn judged(said: Option<&str>) -> Finding {
    let number = said.and_then(|said| said.split_whitespace().last());
    let version: Option<u32> = number.and_then(|number| number.trim_start_matches("0.").parse().ok());
    let mend = "upgrade to Debian 12 or Ubuntu 24.04, or later";
    match (version, number) {
        (Some(TESTED..), Some(number)) => Finding::ok("polkit", format!("version {number} reads our rules")),
        (Some(RULES..), Some(number)) => Finding::warning(
            "polkit",
            format!("version {number} is older than {TESTED}, with which the rules are tested"),
        )
        .mend(mend),
        (Some(_), Some(number)) => {
            let what = format!(
                "version {number} reads no rules files (0.106 does), so the agent may start no step: nothing can be deployed"
            );
            Finding::bad("polkit", what).mend(mend)
        }
        _ => Finding::bad("polkit", "it does not say its version, so the agent may start nothing")
            .mend("sudo apt-get install polkitd pkexec"),
    }
}

fn clock(said: Option<&str>) -> Finding {
    match said.map(str::trim) {
        Some("yes") => Finding::ok("clock", "it is synchronised"),
        Some("no") => Finding::warning("clock", "it is not synchronised: times in history and backups may be wrong")
            .mend("sudo timedatectl set-ntp true"),
        _ => Finding::not_checked("clock", "timedatectl does not say whether it is synchronised"),
    }
}

/// What has ended cannot lie ahead: then the clock was set back, and the order of backups and certificates is not what
/// their times say.
pub fn behind(last: Option<i64>, now: i64) -> Option<Finding> {
    /// A clock that is being slewed is not wrong.
    const SLACK: i64 = 60_000;
    let ahead = last?.saturating_sub(now);
    (ahead > SLACK).then(|| {
        let what =
            format!("it is at least {} minutes behind: the last deployment ended later than now", ahead / 60_000);
        Finding::bad("clock", what).mend("timedatectl; sudo timedatectl set-ntp true")
    })
}

/// Only whether somebody answers there: what the key opens shows with the fetch, whose user alone should hold it.
async fn remote(url: &str) -> Finding {
    let Some((host, port)) = endpoint(url) else {
        return Finding::not_checked("remote", format!("{url}: a folder is looked at by the fetch"));
    };
    let mend = format!("getent hosts {host}; timeout 3 bash -c '</dev/tcp/{host}/{port}'");
    let connect = tokio::net::TcpStream::connect((host.as_str(), port));
    match tokio::time::timeout(ANSWER, connect).await {
        Ok(Ok(_)) => Finding::ok("remote", format!("{host}:{port} answers")),
        Ok(Err(error)) => Finding::bad("remote", format!("{host}:{port}: {error}")).mend(mend),
        Err(_) => Finding::bad("remote", format!("{host}:{port} does not answer")).mend(mend),
    }
}

/// The host and the port of a repository; `None` for one on this disk.
fn endpoint(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        // user@host:path
        None => ("ssh", url.split_once(':')?.0),
    };
    let usual = match scheme {
        "ssh" => 22,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.rsplit_once(':') {
        // An address of IPv6 stands in brackets and has colons of its own.
        Some((host, port)) if !port.ends_with(']') => Some((bare(host), port.parse().ok()?)),
        _ => Some((bare(place), usual)),
    }
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn polkit_counts_in_two_ways() {
        let level = |said| judged(Some(said)).level;
        assert_eq!(level("pkaction version 122\n"), Level::Ok);
        assert_eq!(level("pkaction version 0.120\n"), Level::Warning);
        assert_eq!(level("pkaction version 0.105\n"), Level::Bad);
        assert_eq!(judged(None).level, Level::Bad);
    }

    #[test]
    fn a_clock_that_nobody_sets_is_a_warning() {
        assert_eq!(clock(Some("yes\n")).level, Level::Ok);
        assert_eq!(clock(Some("no\n")).level, Level::Warning);
        assert_eq!(clock(None).level, Level::NotChecked);
    }

    #[test]
    fn a_clock_that_was_set_back_is_bad() {
        assert_eq!(behind(None, 0), None);
        assert_eq!(behind(Some(50_000), 0), None);
        assert!(behind(Some(7_200_000), 0).unwrap().what.contains("120 minutes behind"));
    }

    #[test]
    fn the_door_hangs_in_nginx() {
        let app = "erp".parse().unwrap();
        let dump = "# configuration file /etc/nginx/snippets/tsh-agent-erp.conf:\n";
        assert_eq!(hung(&app, true, Ok(dump.into())).level, Level::Ok);
        let lacks = hung(&app, true, Ok(String::new()));
        assert!(lacks.mend.unwrap().starts_with("add `include snippets/tsh-agent-erp.conf;`"));
        assert_eq!(hung(&app, true, Err("emerg".into())).level, Level::Bad);
        // Where only a person would close it.
        let lacks = hung(&app, false, Ok(String::new()));
        assert_eq!((lacks.level, lacks.what.contains("`maintenance on`")), (Level::Warning, true));
    }

    #[test]
    fn a_repository_is_somewhere() {
        let at = |url| endpoint(url).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(at("ssh://git@forge.example/erp.git").unwrap(), "forge.example 22");
        assert_eq!(at("ssh://git@forge.example:2222/erp.git").unwrap(), "forge.example 2222");
        assert_eq!(at("git@forge.example:me/erp.git").unwrap(), "forge.example 22");
        assert_eq!(at("https://forge.example/erp.git").unwrap(), "forge.example 443");
        assert_eq!(at("ssh://git@[::1]/erp.git").unwrap(), "::1 22");
        assert_eq!(at("ssh://git@[::1]:23/erp.git").unwrap(), "::1 23");
        assert_eq!(at("file:///srv/git/erp.git"), None);
    }
}
