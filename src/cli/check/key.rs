//! Whether the forge lets the deploy key in: asked as the fetch asks, and nothing is fetched.

use super::Me;
use crate::config::Settings;
use crate::init::machine::run;
use crate::model::finding::Finding;

const AREA: &str = "deploy key";

/// Only for a key, only by root, who alone can read it.
pub fn look(settings: &Settings, me: &Me) -> Option<Finding> {
    let key = settings.source.key.as_ref().filter(|key| me.root && key.exists())?.to_string_lossy().into_owned();
    let (login, port, path) = parts(&settings.source.url)?;
    let known = format!("-oUserKnownHostsFile={}", settings.source.known_hosts.display());
    let ask = format!("git-upload-pack '{}'", path.replace('\'', "'\\''"));
    let mut argv = vec!["timeout", "10", "ssh", "-F", "/dev/null", "-T", "-oBatchMode=yes", "-oIdentitiesOnly=yes"];
    argv.extend(["-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=/dev/null", "-oConnectTimeout=3", &known]);
    argv.extend(["-i", &key, "-p", &port, "--", &login, &ask]);
    // An empty list of wishes: the forge names what it has, and ends well.
    let answer = run(&argv, "0000").map(drop).map_err(|failure| failure.to_string());
    Some(judged(&key, answer))
}

/// Who logs in where, the port, and the repository.
fn parts(url: &str) -> Option<(String, String, String)> {
    let Some(rest) = url.strip_prefix("ssh://") else {
        let (login, path) = url.split_once(':').filter(|_| !url.contains("://"))?;
        return Some((login.to_owned(), "22".to_owned(), path.to_owned()));
    };
    let (place, path) = rest.split_once('/')?;
    let (login, port) = match place.rsplit_once(':') {
        Some((login, port)) if !port.ends_with(']') => (login, port),
        _ => (place, "22"),
    };
    Some((login.replace(['[', ']'], ""), port.to_owned(), format!("/{path}")))
}

fn judged(key: &str, answer: Result<(), String>) -> Finding {
    let mend = format!("sudo ssh-keygen -y -f {key}, and give the forge what it prints, for reading");
    match answer {
        Ok(()) => Finding::ok(AREA, "the forge lets it read the repository"),
        Err(why) if why.contains("Permission denied") || why.contains("denied to") => {
            Finding::bad(AREA, "the forge refuses it: it was withdrawn, has expired, or was never given").mend(mend)
        }
        Err(why) if why.contains("Host key verification failed") => {
            let what = "the host key of the forge is not among the known hosts";
            Finding::bad(AREA, what).mend("ssh-keyscan HOST, compare with what the forge publishes, and add it there")
        }
        Err(why) => {
            let last = why.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no answer");
            Finding::not_checked(AREA, format!("whether the forge lets it in: {last}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn a_repository_over_ssh_has_a_login_a_port_and_a_path() {
        let told = |url| parts(url).map(|(login, port, path)| format!("{login} {port} {path}"));
        assert_eq!(told("ssh://git@forge.example:2222/me/erp.git").unwrap(), "git@forge.example 2222 /me/erp.git");
        assert_eq!(told("ssh://git@[::1]/erp.git").unwrap(), "git@::1 22 /erp.git");
        assert_eq!(told("git@forge.example:me/erp.git").unwrap(), "git@forge.example 22 me/erp.git");
        assert_eq!(told("https://forge.example/erp.git"), None);
    }

    #[test]
    fn a_refusal_is_bad_and_silence_is_not_known() {
        assert_eq!(judged("/k", Ok(())).level, Level::Ok);
        let refused = judged("/k", Err("ssh: git@h: Permission denied (publickey).".into()));
        assert_eq!((refused.level, refused.mend.unwrap().starts_with("sudo ssh-keygen -y -f /k,")), (Level::Bad, true));
        assert_eq!(judged("/k", Err("Host key verification failed.".into())).level, Level::Bad);
        assert_eq!(
            judged("/k", Err("x\nConnection refused\n".into())).what,
            "whether the forge lets it in: Connection refused"
        );
    }
}
