//! Whether the application answers now, and whether it is the application that answers.

use std::collections::BTreeSet;

use super::Me;
use super::agent::Core;
use crate::config::{Probe, Role, Settings};
use crate::init::listening::{Listener, listeners};
use crate::model::finding::Finding;
use crate::steps::probe::once;

/// Each probe, and each port that one asks at.
pub async fn look(settings: &Settings, me: &Me, core: &Core) -> Vec<Finding> {
    if !core.should_be_up {
        return vec![Finding::not_checked("probe", "nothing is live, or a deployment runs")];
    }
    let web: Vec<&str> = settings.units(Role::Web).map(|unit| unit.as_str()).collect();
    let logs = web.first().map_or_else(|| "journalctl -n 30".to_owned(), |unit| format!("journalctl -n 30 -u {unit}"));
    let mut found = Vec::new();
    for probe in &settings.probe.probes {
        found.push(match once(probe, core.revision.as_ref()).await {
            None => Finding::not_checked("probe", "a command: it runs only in a deployment, as the application's user"),
            Some((what, Ok(()))) => Finding::ok("probe", format!("{what} passes")),
            Some((_, Err(why))) => Finding::bad("probe", why).mend(&logs),
        });
    }
    for port in ports(&settings.probe.probes) {
        match listeners(Some(port)) {
            Ok((by, somebody)) => found.extend(held(port, &by, &web, me.root, !somebody)),
            Err(failure) => found.push(Finding::not_checked("port", format!("who holds {port}: {failure}"))),
        }
    }
    found
}

/// The ports of this machine that the probes ask at.
fn ports(probes: &[Probe]) -> BTreeSet<u16> {
    let of = |probe: &Probe| match probe {
        Probe::Http(http) => {
            let url = reqwest::Url::parse(&http.url).ok()?;
            Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
        }
        Probe::Tcp { address, .. } => {
            let (host, port) = address.rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        }
        Probe::Command { .. } => None,
    };
    let local = |host: &str| host == "localhost" || host.starts_with("127.") || host == "[::1]";
    probes.iter().filter_map(of).filter(|(host, _)| local(host)).map(|(_, port)| port).collect()
}

fn held(port: u16, by: &[Listener], web: &[&str], root: bool, free: bool) -> Vec<Finding> {
    if free {
        // The probe says the rest.
        return vec![Finding::bad("port", format!("nobody listens on port {port}")).mend("tsh-agent status")];
    }
    if by.is_empty() {
        let why = if root { "the system does not say" } else { "needs root" };
        return vec![Finding::not_checked("port", format!("port {port} is in use; by whom: {why}"))];
    }
    // A socket unit listens for its service; then PID 1 holds the port as well.
    let ours =
        |listener: &&Listener| listener.pid == 1 || listener.unit.as_deref().is_some_and(|unit| web.contains(&unit));
    let foreign = by.iter().find(|listener| !ours(listener));
    vec![match foreign {
        None => Finding::ok("port", format!("port {port} is held by {}", web.join(", "))),
        Some(Listener { program, pid, unit, .. }) => {
            let of = unit.as_ref().map_or_else(String::new, |unit| format!(" of {unit}"));
            let what = format!("port {port} is held by {program} (process {pid}{of}), not by {}", web.join(", "));
            let end =
                unit.as_ref().map_or_else(|| format!("sudo kill {pid}"), |unit| format!("sudo systemctl stop {unit}"));
            Finding::bad("port", what).mend(format!("{end} && sudo systemctl restart {}", web.join(" ")))
        }
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn a_port_is_held_by_the_unit_or_by_somebody_else() {
        let by = |unit: Option<&str>| {
            [Listener { port: 8000, program: "python".into(), pid: 1028, unit: unit.map(str::to_owned) }]
        };
        let level = |by: &[Listener], root| held(8000, by, &["erp.service"], root, false)[0].level;
        assert_eq!(level(&by(Some("erp.service")), true), Level::Ok);
        assert_eq!(level(&[], false), Level::NotChecked);
        let found = &held(8000, &by(None), &["erp.service"], true, false)[0];
        assert_eq!(found.what, "port 8000 is held by python (process 1028), not by erp.service");
        assert_eq!(held(8000, &[], &[], true, true)[0].level, Level::Bad);
    }

    #[test]
    fn only_ports_of_this_machine_count() {
        let tcp = |address: &str| Probe::Tcp { address: address.to_owned(), timeout: std::time::Duration::ZERO };
        let probes = [tcp("127.0.0.1:8000"), tcp("localhost:8001"), tcp("db.example:5432"), tcp("[::1]:8002")];
        assert_eq!(ports(&probes), [8000, 8001, 8002].into());
    }
}
