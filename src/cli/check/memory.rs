//! Memory of the machine and of the application's units, and units that die of it.

use std::fs;

use crate::init::machine::run;
use crate::init::shown::Shown;
use crate::model::finding::Finding;

/// Below this part of the whole, a hundredth each, the next deployment may be killed.
const LITTLE: u64 = 10;
/// A unit that uses more of its limit than this will meet it.
const MUCH: u64 = 90;

/// The machine's memory, and each unit's.
pub fn look(units: &[Shown]) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Ok(text) = fs::read_to_string("/proc/meminfo") {
        found.extend(machine(&text, units));
    }
    found.extend(units.iter().filter(|unit| unit.name.ends_with(".service")).flat_map(|shown| unit(shown, killed)));
    found
}

/// From /proc/meminfo, in KiB.
fn machine(text: &str, units: &[Shown]) -> Option<Finding> {
    let value = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (total, free) = (value("MemTotal")?, value("MemAvailable")?);
    let percent = free * 100 / total.max(1);
    let free = free >> 10;
    if percent >= LITTLE {
        return Some(Finding::ok("memory", format!("{free} MiB are available")));
    }
    let largest =
        units.iter().filter_map(|unit| Some((bytes(unit, "MemoryCurrent")?, unit))).max_by_key(|(bytes, _)| *bytes);
    let of = largest.map(|(bytes, unit)| format!("; {} uses {} MiB", unit.name, bytes >> 20)).unwrap_or_default();
    Some(
        Finding::warning("memory", format!("only {free} MiB are available ({percent} %){of}"))
            .mend("systemd-cgtop -m --order=memory"),
    )
}

/// systemd prints the largest number where there is no limit, and a word where it does not know.
fn bytes(unit: &Shown, key: &str) -> Option<u64> {
    unit.value(key).parse().ok().filter(|bytes| *bytes != u64::MAX)
}

/// Whether its main process was killed in the last minutes; one that systemd starts again shows it only in the journal.
fn killed(name: &str) -> bool {
    let pattern = "code=killed, status=9/KILL|killed by the OOM killer";
    let argv = ["journalctl", "--quiet", "-u", name, "--since", "-10min", "-n", "1", "-o", "cat", "-g", pattern];
    run(&argv, "").is_ok_and(|said| !said.trim().is_empty())
}

fn unit(unit: &Shown, killed: impl Fn(&str) -> bool) -> Option<Finding> {
    let name = &unit.name;
    let times: u32 = unit.value("NRestarts").parse().unwrap_or_default();
    let most = bytes(unit, "MemoryMax");
    // With the older layout of cgroups systemd sees a SIGKILL, and not from whom.
    let died = unit.value("Result") == "signal" || times > 0;
    if unit.value("Result") == "oom-kill" || (most.is_some() && died && killed(name)) {
        let limit = most.map(|most| format!(": it may have {} MiB", most >> 20)).unwrap_or_default();
        let what = format!("{name} was killed because memory was short{limit}");
        let twice = most.map_or_else(|| "infinity".to_owned(), |most| format!("{}M", (most >> 20) * 2));
        let mend = format!("sudo systemctl set-property {name} MemoryMax={twice} && sudo systemctl restart {name}");
        return Some(Finding::bad("memory", what).mend(mend));
    }
    if let (Some(used), Some(most)) = (bytes(unit, "MemoryCurrent"), most)
        && used * 100 > most * MUCH
    {
        let what = format!("{name} uses {} MiB of the {} MiB that it may have", used >> 20, most >> 20);
        let mend = format!("sudo systemctl restart {name}, or sudo systemctl edit {name} and raise MemoryMax=");
        return Some(Finding::warning("memory", what).mend(mend));
    }
    (times > 0).then(|| {
        let what = format!("{name} died and was started again by systemd {times} times since its last start");
        Finding::warning("unit", what).mend(format!("journalctl -u {name} -n 50, then sudo systemctl restart {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn short_memory_names_who_has_it() {
        let unit = Shown::parse("erp.service", "MemoryCurrent=3221225472\nMemoryMax=18446744073709551615");
        let level = |free: u64| {
            machine(&format!("MemTotal: 4000000 kB\nMemAvailable: {free} kB\n"), std::slice::from_ref(&unit)).unwrap()
        };
        assert_eq!(level(1_000_000).level, Level::Ok);
        assert_eq!(level(200_000).what, "only 195 MiB are available (5 %); erp.service uses 3072 MiB");
        assert!(machine("nonsense", &[]).is_none());
    }

    #[test]
    fn a_unit_that_dies_of_memory_is_told() {
        let told = |text: &str| {
            unit(&Shown::parse("erp.service", text), |_| text.contains("killed")).map(|found| (found.level, found.what))
        };
        assert_eq!(told("Result=success\nNRestarts=0\nMemoryCurrent=[not set]\nMemoryMax=infinity"), None);
        assert!(told("Result=oom-kill").unwrap().1.contains("memory was short"));
        assert!(told("NRestarts=2\nMemoryMax=20971520\nkilled=yes").unwrap().1.ends_with("it may have 20 MiB"));
        assert_eq!(told("Result=signal\nMemoryMax=infinity\nkilled=yes"), None, "without a limit it was somebody");
        assert_eq!(told("MemoryCurrent=95\nMemoryMax=100").unwrap().0, Level::Warning);
        assert!(told("NRestarts=3").unwrap().1.contains("3 times"));
    }
}
