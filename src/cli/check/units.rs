//! The application's units: are they there, whose are they, and do they run what the link points to?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::init::folders;
use crate::init::shown::Shown;
use crate::model::finding::Finding;

/// All units of the application.
pub fn shown(settings: &Settings) -> Vec<Shown> {
    settings.all_units().map(|unit| Shown::of(unit.as_str())).collect()
}

/// The files that PID 1 reads the application's environment from, and whether each must be there.
pub fn environments(units: &[Shown]) -> BTreeSet<(PathBuf, bool)> {
    units.iter().flat_map(Shown::environments).collect()
}

/// The rules for each unit.
pub fn look(settings: &Settings, units: &[Shown], should_be_up: bool) -> Vec<Finding> {
    let current = folders::current(&settings.app);
    units.iter().flat_map(|unit| rules(unit, &settings.service.user, &current, should_be_up)).collect()
}

fn rules(unit: &Shown, user: &str, current: &Path, should_be_up: bool) -> Vec<Finding> {
    let name = &unit.name;
    let bad = |what: String, mend: String| vec![Finding::bad("unit", what).mend(mend)];
    match unit.value("LoadState") {
        "loaded" => {}
        "not-found" => {
            let mend = format!("write /etc/systemd/system/{name}, then sudo systemctl daemon-reload");
            return bad(format!("{name} is not there"), mend);
        }
        "masked" => {
            return bad(format!("{name} is masked, so nothing can start it"), format!("sudo systemctl unmask {name}"));
        }
        _ => return bad(format!("{name} cannot be used: {}", unit.load()), format!("systemd-analyze verify {name}")),
    }
    let mut found = Vec::new();
    let edit = |line: &str| format!("sudo systemctl edit {name}, and add {line} under [Service]");
    if name.ends_with(".service") {
        found.extend(runs_as(unit, user, &edit(&format!("User={user}"))));
        found.extend(runs_from(unit, current, &edit(&format!("WorkingDirectory={}", current.display()))));
    }
    if unit.value("UnitFileState") == "disabled" {
        let what = format!("{name} does not start at boot");
        found.push(Finding::warning("unit", what).mend(format!("sudo systemctl enable {name}")));
    }
    if unit.value("NeedDaemonReload") == "yes" {
        let what = format!("{name} was changed on disk, and systemd does not know it yet");
        found.push(Finding::warning("unit", what).mend("sudo systemctl daemon-reload"));
    }
    let active = unit.value("ActiveState");
    if should_be_up && active != "active" {
        let what = format!("{name} is {active} ({})", unit.value("SubState"));
        found.push(Finding::bad("unit", what).mend(format!("sudo systemctl start {name}; journalctl -n 20 -u {name}")));
    }
    if found.is_empty() {
        let how = match name.ends_with(".service") {
            true => format!("runs as {user} from {}", current.display()),
            false => format!("is {active}"),
        };
        found.push(Finding::ok("unit", format!("{name} {how}")));
    }
    found
}

fn runs_as(unit: &Shown, user: &str, mend: &str) -> Option<Finding> {
    let found = Some(unit.value("User")).filter(|user| !user.is_empty()).unwrap_or("root");
    (found != user).then(|| {
        let what = format!("{} runs as {found}, and service.user is {user}", unit.name);
        Finding::bad("unit", what).mend(mend)
    })
}

/// A release becomes live by moving the link, so the unit must come through it; and a process that came through it
/// must not depend on where it leads later.
fn runs_from(unit: &Shown, current: &Path, mend: &str) -> Vec<Finding> {
    let name = &unit.name;
    let below = |path: &str| Path::new(path.trim_start_matches(['!', '-', '~'])).starts_with(current);
    if !below(unit.value("WorkingDirectory")) && !unit.programs().any(below) {
        let what =
            format!("{name} does not run from {}: a deployment would not change what it runs", current.display());
        return vec![Finding::bad("unit", what).mend(mend)];
    }
    let python =
        |path: &&str| Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    let through = unit.programs().filter(|path| below(path)).find(python);
    through
        .map(|path| {
            let what = format!("{name} starts {path}: it would import from the next release once the link moves");
            let mend = format!(
                "sudo systemctl edit --full {name}: start a program in bin/ whose first line names the release"
            );
            Finding::warning("unit", what).mend(mend)
        })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    const GOOD: &str = "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nSubState=running\nUser=deploy\n\
        WorkingDirectory=/srv/erp/current\nEnvironmentFiles=/etc/erp.env (ignore_errors=no)\n\
        EnvironmentFiles=/etc/more.env (ignore_errors=yes)\n\
        ExecStart={ path=/srv/erp/current/bin/web ; argv[]=/srv/erp/current/bin/web --port 8000 ; ignore_errors=no }";

    fn told(text: &str) -> Vec<(Level, String, Option<String>)> {
        let unit = Shown::parse("erp.service", text);
        let found = rules(&unit, "deploy", Path::new("/srv/erp/current"), true);
        found.into_iter().map(|found| (found.level, found.what, found.mend)).collect()
    }

    fn only(text: &str) -> (Level, String, String) {
        let mut told = told(text);
        assert_eq!(told.len(), 1, "{told:?}");
        let (level, what, mend) = told.remove(0);
        (level, what, mend.unwrap_or_default())
    }

    #[test]
    fn a_good_unit_is_one_line() {
        assert_eq!(only(GOOD), (Level::Ok, "erp.service runs as deploy from /srv/erp/current".into(), String::new()));
    }

    #[test]
    fn what_cannot_be_started_is_told_alone() {
        let masked = only("LoadState=masked\nActiveState=inactive");
        assert_eq!(masked.2, "sudo systemctl unmask erp.service");
        assert_eq!(only("LoadState=not-found").1, "erp.service is not there");
        assert_eq!(only("LoadState=bad-setting").2, "systemd-analyze verify erp.service");
        assert!(only("").1.contains("systemctl does not answer"));
    }

    #[test]
    fn each_rule_names_what_mends_it() {
        let (level, what, mend) = only(&GOOD.replace("User=deploy\n", "User=\n"));
        assert_eq!((level, what.as_str()), (Level::Bad, "erp.service runs as root, and service.user is deploy"));
        assert_eq!(mend, "sudo systemctl edit erp.service, and add User=deploy under [Service]");
        let (level, what, _) = only(&GOOD.replace("/srv/erp/current", "/home/deploy/erp"));
        assert_eq!((level, what.contains("does not run from /srv/erp/current")), (Level::Bad, true));
        let (level, what, _) = only(&GOOD.replace("/bin/web", "/.venv/bin/python3"));
        assert_eq!((level, what.contains("import from the next release")), (Level::Warning, true));
        assert_eq!(only(&GOOD.replace("=enabled", "=disabled")).2, "sudo systemctl enable erp.service");
        assert_eq!(only(&format!("{GOOD}\nNeedDaemonReload=yes")).2, "sudo systemctl daemon-reload");
        let (level, what, _) =
            only(&GOOD.replace("ActiveState=active\nSubState=running", "ActiveState=failed\nSubState=failed"));
        assert_eq!((level, what.as_str()), (Level::Bad, "erp.service is failed (failed)"));
    }

    #[test]
    fn a_program_below_the_link_is_enough() {
        assert_eq!(only(&GOOD.replace("WorkingDirectory=/srv/erp/current", "WorkingDirectory=/")).0, Level::Ok);
        let outside = GOOD.replace("path=/srv/erp/current/bin/web", "path=/usr/bin/env");
        assert_eq!(only(&outside).0, Level::Ok, "it works in the release");
    }

    #[test]
    fn files_of_the_environment_are_read_with_whether_they_must_be_there() {
        let files = environments(&[Shown::parse("erp.service", GOOD)]);
        assert_eq!(files, [("/etc/erp.env".into(), true), ("/etc/more.env".into(), false)].into());
    }
}
