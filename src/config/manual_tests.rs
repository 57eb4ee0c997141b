//! What the example says is read whole, and its bounds are those of the code.

use std::path::Path;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;

use super::manual::{Chapter, Entry, Item, Subject, chapters, find, items};
use super::{EXAMPLE, parse};

fn entries() -> Vec<Entry> {
    chapters().into_iter().flat_map(|chapter| chapter.entries).collect()
}

#[test]
fn every_key_of_the_example_can_be_explained() {
    let keys = items(EXAMPLE).into_iter().filter(|item| matches!(item, Item::Key { .. })).count();
    assert_eq!(entries().len(), keys, "a value is not TOML");
    assert!(keys > 100, "{keys}");
    for entry in entries() {
        let found = find(&entry.path).unwrap_or_else(|(what, _)| panic!("{}: {what}", entry.path));
        assert_eq!(found, Subject::Key(Box::new(entry.clone())));
        assert!(!entry.says.is_empty(), "{} is not explained", entry.path);
        // Whoever leaves it out must be able to know what counts.
        let told = entry.says.iter().any(|text| {
            ["Default: ", "equired", "Without it", "With \"socket\""].iter().any(|words| text.contains(words))
        });
        assert!(entry.default.is_some() || entry.required || told, "{} has no default", entry.path);
    }
    for chapter in chapters() {
        assert_eq!(find(&chapter.path), Ok(Subject::Table(chapter.clone())));
        assert_eq!(find(chapter.head), Ok(Subject::Table(chapter)));
    }
}

#[test]
fn a_name_means_one_thing_or_says_what_may_be_meant() {
    let path = |name: &str| match find(name) {
        Ok(Subject::Key(entry)) => entry.path,
        Ok(Subject::Table(Chapter { head, .. })) => head.to_owned(),
        Err((what, hint)) => format!("{what}; {hint}"),
    };
    assert_eq!(path("lock_budget"), "database.lock_budget");
    assert_eq!(path("probe.http[1].url"), "probe.http.url");
    assert_eq!(path("probe.http"), "[[probe.http]]");
    assert_eq!(path("lock_buget"), "there is no setting \"lock_buget\"; did you mean lock_budget?");
    assert!(path("wheels").contains("config show"), "{}", path("wheels"));
    assert!(path("lane") == "database.lane" && path("timeout").contains("source.timeout, build.timeout"));
}

/// Asks the code itself: a value that is too large makes it tell the bounds.
#[test]
fn the_bounds_in_the_text_are_those_of_the_code() {
    let mut seen = 0;
    for entry in entries().iter().filter(|entry| !entry.path.starts_with("gates.") && !entry.path.contains("django")) {
        let Some(range) = entry.range().filter(|range| !range.contains("the ")) else { continue };
        let large = if entry.example.is_integer() { "987654321".to_owned() } else { "\"987654h\"".to_owned() };
        let head = format!("{}\n", entry.head);
        assert_eq!(EXAMPLE.matches(&head).count(), 1, "{head}");
        let line = |line: &str| line.trim_start_matches('#').starts_with(&format!("{} = ", entry.name));
        let (before, after) = EXAMPLE.split_once(&head).unwrap();
        let own = after.lines().position(line).unwrap();
        let after: String =
            after.lines().enumerate().filter(|(at, _)| *at != own).map(|(_, line)| format!("{line}\n")).collect();
        let text = format!("{before}{head}{} = {large}\n{after}", entry.name);
        let text = text.replace(&format!("#{head}"), &head);
        let error = parse(&"tsh-erp".parse().unwrap(), Path::new("x.toml"), &text).unwrap_err();
        let (_, allowed) = error.problem.split_once("allowed is ").unwrap_or_else(|| panic!("{}: {error}", entry.path));
        let bounds = |text: &str| -> Vec<String> {
            let time = |word: &str| SpanParser::new().parse_unsigned_duration(word).unwrap_or(Duration::ZERO);
            text.split(" to ")
                .map(|word| word.parse::<u64>().map_or_else(|_| format!("{:?}", time(word)), |n| n.to_string()))
                .collect()
        };
        assert_eq!(bounds(&range), bounds(allowed), "{}: {range}, and the code says {allowed}", entry.path);
        seen += 1;
    }
    assert!(seen > 15, "only {seen} bounds were found");
}
