//! The text is held against the grammar of both formats, by a reader that forgives nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// With everything, and with nothing.
pub(crate) fn view() -> MetricsView {
    let ended = |kind: &str, result: &str, count, took, down: Option<i64>| {
        let mut ended = Ended::none(kind, result);
        (0..count).for_each(|_| ended.add(took, down));
        ended
    };
    let took = |step, took| StepTook { step, took };
    let erp = AppMetrics {
        app: "tsh-erp".parse().unwrap(),
        ended: vec![
            ended("deploy", "deployed", 41, 40_005, Some(0)),
            ended("deploy", "rolled-back", 2, 4_000_000, Some(310)),
            ended("rollback", "deployed", 1, 5_000, None),
        ],
        running: false,
        waiting: true,
        queue: 1,
        last: Some(LastEnded {
            id: DeploymentId(43),
            result: Verdict::RolledBack,
            at: 1_795_266_161_007,
            took: 45_502,
            downtime: Some(310),
            window: None,
            steps: vec![took(Step::Fetch, 1_240), took(Step::Build, 9_800)],
        }),
        backups: Some(BackupsTold {
            count: 9,
            newest: Some(NewestBackup { at: 1_795_220_000_000, level: Some(Level::Checksummed) }),
            proven: Some(1_795_133_600_000),
        }),
        door_closed: false,
        maintenance: true,
    };
    let shop = AppMetrics {
        app: "shop".parse().unwrap(),
        ended: Vec::new(),
        running: true,
        waiting: false,
        queue: 0,
        last: None,
        backups: None,
        door_closed: true,
        maintenance: false,
    };
    MetricsView { version: "0.1.0 \"x\\y\"".into(), apps: vec![erp, shop] }
}

/// One family as a reader understands it.
#[derive(Debug, Default)]
struct Read {
    kind: String,
    help: bool,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads `name{label="value",…} number`.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("{line}"));
    let mut labels = BTreeMap::new();
    let mut chars = rest.chars();
    loop {
        let key: String = chars.by_ref().take_while(|c| *c != '=').collect();
        assert_eq!(chars.next(), Some('"'), "{line}");
        let mut value = String::new();
        loop {
            match chars.next().unwrap_or_else(|| panic!("no end: {line}")) {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => value.push('\n'),
                    Some(c @ ('\\' | '"')) => value.push(c),
                    other => panic!("\\{other:?} in {line}"),
                },
                '\n' => panic!("{line}"),
                c => value.push(c),
            }
        }
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(!key.is_empty() && word(&key) && !key.starts_with("__") && word(name), "{line}");
        assert!(labels.insert(key, value).is_none(), "a label twice: {line}");
        match chars.next() {
            Some(',') => {}
            Some('}') => break,
            other => panic!("{other:?} in {line}"),
        }
    }
    let number = chars.as_str().strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    (name.to_owned(), labels, number.parse().unwrap_or_else(|_| panic!("{line}")))
}

/// Reads all of it, and holds it against the rules of the format.
fn read(text: &str, format: Format) -> BTreeMap<String, Read> {
    let text = match format {
        Format::OpenMetrics => text.strip_suffix("# EOF\n").expect("it ends with # EOF"),
        Format::Prometheus => text,
    };
    let mut families: BTreeMap<String, Read> = BTreeMap::new();
    let (mut open, mut seen) = (String::new(), BTreeSet::new());
    for line in text.strip_suffix('\n').unwrap().split('\n') {
        assert!(!line.is_empty() && !line.contains('\t'), "{text}");
        if let Some(about) = line.strip_prefix("# ") {
            let (word, rest) = about.split_once(' ').unwrap();
            let (name, what) = rest.split_once(' ').unwrap();
            if name != open {
                assert!(!families.contains_key(name), "{name} is there twice");
                open = name.to_owned();
            }
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.samples.is_empty(), "{line} comes after samples");
            match word {
                "HELP" => assert!(!std::mem::replace(&mut family.help, true), "{line}"),
                "TYPE" => assert!(std::mem::replace(&mut family.kind, what.to_owned()).is_empty(), "{line}"),
                "UNIT" => assert!(format == Format::OpenMetrics && name.ends_with(&format!("_{what}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, labels, value) = sample(line);
        let family = families.get_mut(&open).unwrap();
        let suffix = name.strip_prefix(&open).unwrap_or_else(|| panic!("{line} is not of {open}"));
        let allowed: &[&str] = match (format, family.kind.as_str()) {
            (_, "gauge") | (Format::OpenMetrics, "stateset") | (Format::Prometheus, "counter") => &[""],
            (_, "histogram") => &["_bucket", "_count", "_sum"],
            (Format::OpenMetrics, "counter") => &["_total"],
            (Format::OpenMetrics, "info") => &["_info"],
            (_, kind) => panic!("{kind} is no type here"),
        };
        assert!(allowed.contains(&suffix), "{line} in a {}", family.kind);
        assert!(format == Format::OpenMetrics || family.kind != "counter" || name.ends_with("_total"), "{line}");
        assert!(value.is_finite() && (family.kind == "gauge" || value >= 0.0), "{line}");
        assert!(seen.insert((name.clone(), labels.clone())), "{line} is there twice");
        family.samples.push((name, labels, value));
    }
    families
}

#[test]
fn both_formats_keep_to_their_grammar_and_say_the_same() {
    let both = [Format::Prometheus, Format::OpenMetrics].map(|format| read(&text(&view(), format), format));
    for families in &both {
        assert!(families.values().all(|family| family.help && !family.kind.is_empty() && !family.samples.is_empty()));
    }
    let numbers = |families: &BTreeMap<String, Read>| -> Vec<String> {
        let all = families.values().flat_map(|family| &family.samples);
        let mut all: Vec<String> = all.map(|sample| format!("{sample:?}")).collect();
        all.sort();
        all
    };
    assert_eq!(numbers(&both[0]), numbers(&both[1]));
    let open = &both[1];
    // Of a set of states one is true, for each application.
    let states = &open["tsh_agent_last_deployment_result"].samples;
    assert_eq!((states.len(), states.iter().map(|(.., value)| value).sum::<f64>()), (Verdict::ALL.len(), 1.0));
    let build = &open["tsh_agent_build"].samples[0];
    assert_eq!((build.1["version"].as_str(), build.2), ("0.1.0 \"x\\y\"", 1.0));
    assert_eq!(open["tsh_agent_deployment_running"].samples.len(), 2, "each application");
    // A counter and the count of its durations are of the same deployments.
    let total: f64 = open["tsh_agent_deployments"].samples.iter().map(|(.., value)| value).sum();
    let durations = &open["tsh_agent_deployment_duration_seconds"].samples;
    let counted: f64 = durations.iter().filter(|(name, ..)| name.ends_with("_count")).map(|(.., value)| value).sum();
    assert_eq!((total, counted), (44.0, 44.0));
}

#[test]
fn a_histogram_rises_to_its_count() {
    let all = read(&text(&view(), Format::OpenMetrics), Format::OpenMetrics);
    for (name, buckets) in [("duration", 3 * 10), ("downtime", 2 * 10)] {
        let samples = &all[&format!("tsh_agent_deployment_{name}_seconds")].samples;
        let (mut bound, mut before, mut seen) = (f64::NEG_INFINITY, 0.0, 0);
        for (name, labels, value) in samples {
            if let Some(le) = labels.get("le") {
                let le = if le == "+Inf" { f64::INFINITY } else { le.parse::<f64>().unwrap() };
                assert!(le > bound && *value >= before, "{labels:?} {value}");
                (bound, before, seen) = (le, *value, seen + 1);
            } else if name.ends_with("_count") {
                assert_eq!((bound, before), (f64::INFINITY, *value), "the last bucket is all");
                (bound, before) = (f64::NEG_INFINITY, 0.0);
            }
        }
        assert_eq!(seen, buckets);
    }
    let text = text(&view(), Format::OpenMetrics);
    let of = "app=\"tsh-erp\",kind=\"deploy\",result=";
    for line in [
        format!("tsh_agent_deployment_duration_seconds_bucket{{{of}\"deployed\",le=\"30.0\"}} 0"),
        format!("tsh_agent_deployment_duration_seconds_bucket{{{of}\"deployed\",le=\"60.0\"}} 41"),
        format!("tsh_agent_deployment_duration_seconds_bucket{{{of}\"rolled-back\",le=\"3600.0\"}} 0"),
        format!("tsh_agent_deployment_downtime_seconds_bucket{{{of}\"deployed\",le=\"0.0\"}} 41"),
        format!("tsh_agent_deployment_downtime_seconds_bucket{{{of}\"rolled-back\",le=\"0.5\"}} 2"),
        format!("tsh_agent_deployment_downtime_seconds_sum{{{of}\"rolled-back\"}} 0.620"),
    ] {
        assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
    }
}

#[test]
fn each_is_in_the_manual() {
    let page = include_str!("../../packaging/man/tsh-agent.1").replace("\\-", "-");
    let page = page.split(".SH METRICS").nth(1).unwrap().split(".SH").next().unwrap();
    let named: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix(".B tsh_agent_")).collect();
    let mut view = view();
    view.apps[0].last.as_mut().unwrap().window = Some(1);
    let families = families(&view);
    let told: BTreeSet<&str> = families.iter().map(|family| &family.name["tsh_agent_".len()..]).collect();
    assert_eq!(named, told);
}

#[test]
fn what_is_not_known_is_left_out() {
    let text = text(&view(), Format::Prometheus);
    for line in [
        "tsh_agent_last_deployment_downtime_seconds{app=\"tsh-erp\"} 0.310",
        "tsh_agent_last_deployment_timestamp_seconds{app=\"tsh-erp\"} 1795266161.007",
        "tsh_agent_last_deployment_step_seconds{app=\"tsh-erp\",step=\"build\"} 9.800",
        "tsh_agent_newest_backup_timestamp_seconds{app=\"tsh-erp\",level=\"checksummed\"} 1795220000.000",
        "tsh_agent_deployments_total{app=\"tsh-erp\",kind=\"deploy\",result=\"rolled-back\"} 2",
        "tsh_agent_maintenance{app=\"tsh-erp\"} 1",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("window") && !text.contains("backups{app=\"shop\"}"), "{text}");
    assert_eq!(seconds(-5), "0.000", "a clock that was put back");
}
