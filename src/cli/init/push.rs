//! What goes live by itself: the timer that polls, who may say that something was pushed, the network face.

use std::fs;
use std::io::ErrorKind;

use super::{Change, Failure, InitError, command, made, tell, wind};
use crate::config::Settings;
use crate::init::{bus, hook, machine, units};

/// The timer that polls runs if the settings want one; and who may say that something was pushed is known to the bus.
pub(super) fn timer_and_users(settings: &Settings, changed: bool, bus_changed: bool) -> Result<(), InitError> {
    let every = settings.push.poll.map(|every| format!("every {} s", every.as_secs()));
    wind(&units::poll_timer(&settings.app), every, "push.poll", changed)?;
    let leftover = settings.push.users.is_empty() && forget(&bus::policy_path(&settings.app), "push.users")?;
    if bus_changed || leftover {
        let [name, path] = ["org.freedesktop.DBus", "/org/freedesktop/DBus"];
        command(&["busctl", "--quiet", "call", name, path, name, "ReloadConfig"], "")?;
    }
    Ok(())
}

/// Removes a file that the settings no longer want; whether it was there.
fn forget(path: &str, key: &str) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => {
            tell(Change::Made, &format!("{path} is gone, as {key} says"));
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::new(format!("remove {path}"), error)),
    }
}

/// What the network face has to know, with a secret that is made once; whether it is another one now.
pub(super) fn webhook(settings: &Settings) -> Result<bool, InitError> {
    let path = hook::path(&settings.app);
    let known = hook::read(&path)?.map(|hook| hook.secret);
    let Some(file) = hook::credential(settings, known)? else {
        forget(&hook::drop_in_path(&settings.app), "push.webhook")?;
        return Ok(forget(&path.to_string_lossy(), "push.webhook")?);
    };
    let change = machine::write(&file)?;
    tell(change, &file.path.display().to_string());
    Ok(change == Change::Made)
}

/// The face reads its credentials when it starts, which the next request makes it do.
pub(super) fn face(settings: &Settings, changed: bool) -> Result<(), InitError> {
    if changed {
        command(&["systemctl", "stop", hook::SERVICE], "")?;
    }
    if settings.push.webhook.is_some() {
        let is = |what: &str| command(&["systemctl", "--quiet", what, hook::SOCKET], "").is_ok();
        let listens = is("is-enabled") && is("is-active");
        if !listens {
            command(&["systemctl", "--quiet", "enable", "--now", hook::SOCKET], "")?;
        }
        tell(made(!listens), &format!("{} listens", hook::SOCKET));
    }
    Ok(())
}
