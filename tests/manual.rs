//! The man page names every command and every option, and no other; its exit codes are those of the program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use clap::error::ErrorKind;
use tsh_agent::cli::Cli;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/man/tsh-agent.1");
    std::fs::read_to_string(path).unwrap().replace("\\-", "-")
}

/// The words of the page that look like long options.
fn options(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_its_section_with_its_options() {
    let page = page();
    let mut known = BTreeSet::new();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let section = page
            .split(".SS ")
            .find(|section| section.lines().next().is_some_and(|line| line.split(' ').next() == Some(name)));
        let section = section.unwrap_or_else(|| panic!("{name} has no section"));
        let here: BTreeSet<String> = command
            .get_arguments()
            // Some have commands of their own.
            .chain(command.get_subcommands().flat_map(clap::Command::get_arguments))
            .filter_map(|argument| argument.get_long())
            .map(|long| format!("--{long}"))
            .collect();
        assert_eq!(options(section.split(".SH ").next().unwrap()), here, "the options of {name}");
        known.extend(here);
    }
    assert_eq!(options(&page), known, "options that no command has");
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = Cli::command().get_after_help().unwrap().to_string();
    let page = page();
    let section = page.split(".SH EXIT STATUS").nth(1).unwrap().split(".SH").next().unwrap();
    for line in help.lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let entry = section.split(".TP\n.B ").find(|entry| entry.lines().next() == Some(code));
        let entry = entry.unwrap_or_else(|| panic!("exit code {code} is missing"));
        assert_eq!(entry.lines().nth(1).unwrap().to_lowercase(), format!("{}.", meaning.to_lowercase()));
    }
}

#[test]
fn the_readme_has_the_same_exit_codes() {
    let help = Cli::command().get_after_help().unwrap().to_string();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for line in help.lines().skip(1) {
        let (code, _) = line.trim().split_once("  ").unwrap();
        assert!(readme.lines().any(|row| row.starts_with(&format!("| {code} |"))), "exit code {code}");
    }
}

/// Manual pages have their commands in examples and in bold; markdown would have them so.
fn as_markdown(page: &str) -> String {
    let mut in_example = false;
    let line = |line: &str| {
        in_example = (in_example || line == ".EX") && line != ".EE";
        match line.strip_prefix(".B ") {
            _ if in_example => format!("    {line}\n"),
            Some(bold) => format!("`{}`\n", bold.trim_matches('"')),
            None => String::new(),
        }
    };
    page.replace("\\-", "-").lines().map(line).collect()
}

/// Every command of ours in these texts: what stands in code, up to where the shell would go on.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = text.lines().filter_map(|line| line.strip_prefix("    "));
    let spans =
        text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2));
    let words = |line: &str| -> Vec<String> {
        let line = line.split(" #").next().unwrap_or_default().split(" | ").next().unwrap_or_default().trim();
        let line = ["sudo ", "ssh erp "].iter().fold(line, |line, before| line.strip_prefix(before).unwrap_or(line));
        // Placeholders and optional parts become something that could stand there.
        let line = line.replace("<app>", "tsh-erp").replace(['[', ']'], "").replace("--to DIR", "--to /srv/x");
        // What is quoted is one word.
        let parts = line.split('"').enumerate();
        let line: String =
            parts.map(|(at, part)| if at % 2 == 1 { part.replace(' ', "_") } else { part.into() }).collect();
        line.split_whitespace()
            .map(|word| word.replace("REVISION", "main").replace("NAME", "1-20261121T144253Z"))
            .collect()
    };
    let all = blocks.chain(spans).map(words);
    all.filter(|words| words.first().is_some_and(|word| word == "tsh-agent") && words.len() > 1)
        .map(|words| words.into_iter().map(|word| if word == "ID" { "42".to_owned() } else { word }).collect())
        .collect()
}

#[test]
fn every_command_in_the_documents_is_one() {
    let (mut tried, mut of_file) = (0, BTreeMap::new());
    let pages = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/man")).unwrap();
    let pages = pages.map(|page| format!("packaging/man/{}", page.unwrap().file_name().to_str().unwrap()));
    let others = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "config/tsh-erp.toml"].map(str::to_owned);
    for file in others.into_iter().chain(pages) {
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let text = if file.starts_with("packaging/man/") { as_markdown(&text) } else { text };
        for words in commands(&text) {
            // Ways in which programs are started, which are no verbs.
            if ["core", "step", "recover", "generate", "-fetch", "…"].iter().any(|word| words[1].starts_with(word)) {
                continue;
            }
            tried += 1;
            *of_file.entry(file.clone()).or_insert(0) += 1;
            if let Err(error) = Cli::command().try_get_matches_from(&words) {
                // The checkout and the folder of an example are not there.
                let elsewhere = error.to_string().contains("No such file");
                // A verb that is only named.
                let named = words.len() == 2 && error.kind() == ErrorKind::MissingRequiredArgument;
                assert!(elsewhere || named || error.exit_code() == 0, "{file}: {}: {error}", words.join(" "));
            }
        }
    }
    assert!(tried > 80, "only {tried} commands were found");
    assert!(of_file["packaging/man/tsh-agent-migrating.7"] > 25, "{of_file:?}");
}
