//! What a unit that runs from the checkout needs to run from the live release. Pure.

use std::path::Path;

use crate::model::names::App;

/// Lists, which a drop-in must empty before it fills them again.
const LISTS: [&str; 8] = [
    "ExecStart",
    "ExecStartPre",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "ExecCondition",
    "EnvironmentFile",
];

/// The drop-in for a unit, from what `systemctl cat` prints of it: the same lines, with the live release in place of the
/// checkout, and root's environment in place of the one in the checkout.
#[must_use]
pub fn drop_in(app: &App, unit: &str, tree: &Path, environment: Option<&Path>) -> String {
    let mut out = format!(
        "# Written by `tsh-agent adopt`: {app} runs from its live release. `tsh-agent adopt --undo` takes it away.\n[Service]\n"
    );
    let lines = service_lines(unit);
    let current = crate::paths::home(app).join("current");
    let names = |value: &str| mentions(value, tree);
    let mut done: Vec<&str> = Vec::new();
    for (key, value) in &lines {
        let key = key.as_str();
        let of_list: Vec<&String> = lines.iter().filter(|(other, _)| other == key).map(|(_, value)| value).collect();
        if LISTS.contains(&key) {
            if done.contains(&key) || key == "EnvironmentFile" || !of_list.iter().any(|value| names(value)) {
                continue;
            }
            done.push(key);
            out += &format!("{key}=\n");
            for value in of_list {
                out += &format!("{key}={}\n", moved(value, tree, &current));
            }
        } else if names(value) {
            out += &format!("{key}={}\n", moved(value, tree, &current));
        }
    }
    if let Some(environment) = environment {
        out += "EnvironmentFile=\n";
        for (_, value) in lines.iter().filter(|(key, value)| key == "EnvironmentFile" && !names(value)) {
            out += &format!("EnvironmentFile={value}\n");
        }
        out += &format!("EnvironmentFile={}\n", environment.display());
    }
    out
}

/// Keys and values of `[Service]`, lines that go on joined.
fn service_lines(unit: &str) -> Vec<(String, String)> {
    let joined = unit.replace("\\\n", " ");
    let mut section = "";
    let mut found: Vec<(String, String)> = Vec::new();
    for line in joined.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) =
            line.split_once('=').filter(|_| section == "[Service]" && !line.starts_with(['#', ';']))
        {
            let (key, value) = (key.trim(), value.trim());
            // An empty value forgets what a list had.
            if value.is_empty() {
                found.retain(|(other, _)| other != key);
            } else {
                found.push((key.to_owned(), value.to_owned()));
            }
        }
    }
    found
}

fn mentions(value: &str, tree: &Path) -> bool {
    let tree = tree.to_string_lossy();
    value.match_indices(tree.as_ref()).any(|(at, _)| ends(&value[at + tree.len()..]))
}

/// Whether a path ends here, so that `/srv/erp` is not found in `/srv/erp2`.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', ' ', '"', '\'', ':', ';'])
}

fn moved(value: &str, tree: &Path, current: &Path) -> String {
    let tree = tree.to_string_lossy();
    let (mut out, mut rest) = (String::new(), value);
    while let Some(at) = rest.find(tree.as_ref()) {
        let (before, after) = (&rest[..at], &rest[at + tree.len()..]);
        out += before;
        if ends(after) {
            out += &current.to_string_lossy()
        } else {
            out += &tree
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "# /etc/systemd/system/erp.service\n[Unit]\nDescription=x /home/d/erp\n[Service]\nUser=d\n\
        WorkingDirectory=/home/d/erp\nEnvironmentFile=/home/d/erp/.env.production\nEnvironmentFile=-/etc/default/erp\n\
        Environment=\"PATH=/home/d/erp/venv/bin:/usr/bin\"\n\
        ExecStartPre=/bin/true\nExecStart=/home/d/erp/venv/bin/uvicorn app:app \\\n  --log /home/d/erp2/x\nRestart=always\n";

    #[test]
    fn a_unit_keeps_everything_but_the_path() {
        let text = drop_in(
            &"erp".parse().unwrap(),
            UNIT,
            Path::new("/home/d/erp"),
            Some(Path::new("/etc/tsh-agent/apps/erp.env")),
        );
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "[Service]",
                "WorkingDirectory=/srv/erp/current",
                "Environment=\"PATH=/srv/erp/current/venv/bin:/usr/bin\"",
                "ExecStart=",
                "ExecStart=/srv/erp/current/venv/bin/uvicorn app:app    --log /home/d/erp2/x",
                "EnvironmentFile=",
                "EnvironmentFile=-/etc/default/erp",
                "EnvironmentFile=/etc/tsh-agent/apps/erp.env",
            ]
        );
    }
}
