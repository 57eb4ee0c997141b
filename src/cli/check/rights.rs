//! What must be denied is denied: tried out, as the users that it is about, in ways that change nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Me;
use crate::config::Settings;
use crate::init::database::app_environment;
use crate::init::machine::run;
use crate::model::finding::Finding;
use crate::paths;

/// A user must not have this access to that place.
struct Wall {
    user: String,
    /// As `test` names it.
    access: &'static str,
    place: PathBuf,
}

/// Every wall that is not there; and what the core may start and stop.
pub fn look(settings: &Settings, me: &Me) -> Vec<Finding> {
    if !me.root {
        return vec![Finding::not_checked("rights", "only root can try what others may do")];
    }
    let walls = walls(settings);
    let open: Vec<&Wall> = walls.iter().filter(|wall| is_open(wall)).collect();
    let mut found = told(&open, settings);
    if open.is_empty() {
        found.push(Finding::ok("rights", format!("{} things that must be denied are denied", walls.len())));
    }
    found.extend(core(settings));
    found
}

fn walls(settings: &Settings) -> Vec<Wall> {
    let app = &settings.app;
    let wall = |user: &str, access, place: &Path| Wall { user: user.to_owned(), access, place: place.to_owned() };
    let (releases, links) = (paths::releases(app), paths::links(app));
    let live = releases.join("../current/.");
    let secrets = [Some(app_environment(app)), settings.source.key.clone()];
    let user = settings.service.user.as_str();
    let mut walls = Vec::new();
    for other in [user, "tsh-agent-build", "tsh-agent-fetch", "tsh-agent-migrate", "nobody"] {
        walls.extend([&releases, &links, &live].map(|place| wall(other, "-w", place)));
        walls.extend(secrets.iter().flatten().map(|place| wall(other, "-r", place)));
        walls.push(wall(other, "-r", &Path::new(paths::STATE).join("state.db")));
    }
    // The core decides; it writes no code and knows no secret.
    walls.extend([&releases, &live].map(|place| wall("tsh-agent", "-w", place)));
    walls.extend(secrets.iter().flatten().map(|place| wall("tsh-agent", "-r", place)));
    walls.push(wall("tsh-agent", "-w", &paths::settings(app)));
    walls
}

/// Whether somebody can go through; a place that is not there is nobody's.
fn is_open(wall: &Wall) -> bool {
    let place = wall.place.to_string_lossy();
    run(&["runuser", "-u", &wall.user, "--", "test", wall.access, &place], "").is_ok()
}

/// A line for each place and access, with everybody who has it.
fn told(open: &[&Wall], settings: &Settings) -> Vec<Finding> {
    let mut by_place: BTreeMap<(&Path, &str), Vec<&str>> = BTreeMap::new();
    for wall in open {
        by_place.entry((&wall.place, wall.access)).or_default().push(&wall.user);
    }
    let finding = |((place, access), users): ((&Path, &str), Vec<&str>)| {
        let (place, users) = (place.display(), users.join(", "));
        let (how, mend) = match access {
            "-w" => ("written", format!("sudo tsh-agent init {}", settings.app)),
            _ => ("read", format!("sudo chown root: {place} && sudo chmod 0600 {place}")),
        };
        Finding::bad("rights", format!("{place} can be {how} by {users}")).mend(mend)
    };
    by_place.into_iter().map(finding).collect()
}

/// polkit is asked as systemd would ask it; nothing is started.
fn core(settings: &Settings) -> Option<Finding> {
    let pid = run(&["systemctl", "show", "-P", "MainPID", "tsh-agent.service"], "").ok()?;
    let pid = pid.trim().to_owned();
    if pid == "0" {
        return Some(Finding::not_checked("rights", "what the core may start: it does not run"));
    }
    let may = |unit: &str| {
        let action = "org.freedesktop.systemd1.manage-units";
        let (unit, verb) = (["--detail", "unit", unit], ["--detail", "verb", "start"]);
        let argv = [&["pkcheck", "--action-id", action, "--process", &pid][..], &unit, &verb].concat();
        run(&argv, "").is_ok()
    };
    let own: Vec<&str> = settings.all_units().map(|unit| unit.as_str()).collect();
    let refused: Vec<&str> = own.iter().copied().filter(|unit| !may(unit)).collect();
    let foreign = ["ssh.service", "postgresql.service", "systemd-poweroff.service"];
    let allowed: Vec<&str> = foreign.into_iter().filter(|unit| may(unit)).collect();
    Some(judged(&refused, &allowed, own.len(), settings))
}

fn judged(refused: &[&str], allowed: &[&str], own: usize, settings: &Settings) -> Finding {
    let mend = format!("sudo tsh-agent init {}; ls /etc/polkit-1/rules.d", settings.app);
    if !allowed.is_empty() {
        return Finding::bad("rights", format!("polkit lets the agent start {}", allowed.join(", "))).mend(mend);
    }
    if !refused.is_empty() {
        return Finding::bad("rights", format!("polkit does not let the agent start {}", refused.join(", ")))
            .mend(mend);
    }
    Finding::ok("rights", format!("polkit lets the agent start the {own} units of the application, and no other"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::settings;
    use crate::model::finding::Level;

    #[test]
    fn every_user_has_its_walls() {
        let walls = walls(&settings());
        for user in ["deploy", "tsh-agent-build", "tsh-agent-fetch", "tsh-agent-migrate", "tsh-agent", "nobody"] {
            let of: Vec<_> = walls.iter().filter(|wall| wall.user == user).collect();
            assert!(of.iter().any(|wall| wall.place.ends_with("releases") && wall.access == "-w"), "{user}");
            assert!(of.iter().any(|wall| wall.place.ends_with("erp.env") && wall.access == "-r"), "{user}");
        }
        assert!(
            !walls.iter().any(|wall| wall.user == "tsh-agent" && wall.place.ends_with("links")),
            "the links are its own"
        );
    }

    #[test]
    fn one_file_that_many_may_read_is_one_finding() {
        let walls = walls(&settings());
        let open: Vec<&Wall> = walls.iter().filter(|wall| wall.place.ends_with("erp.env")).collect();
        let found = told(&open, &settings());
        assert_eq!(found.len(), 1);
        let (what, mend) = (&found[0].what, found[0].mend.as_ref().unwrap());
        assert!(what.contains("erp.env can be read by deploy, tsh-agent-build") && what.contains("nobody"), "{what}");
        assert!(mend.contains("chmod 0600"), "{mend}");
    }

    #[test]
    fn too_much_and_too_little_are_both_bad() {
        let judged = |refused: &[&str], allowed: &[&str]| judged(refused, allowed, 2, &settings());
        assert_eq!(judged(&[], &[]).level, Level::Ok);
        assert!(judged(&["erp.service"], &[]).what.contains("does not let"));
        assert_eq!(judged(&["erp.service"], &["ssh.service"]).what, "polkit lets the agent start ssh.service");
    }
}
