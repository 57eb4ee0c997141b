//! Every mistake has an answer that a person can act upon, word for word.

use std::fs;
use std::path::Path;

use super::read::{apps_in, load_from};
use super::*;
use crate::model::names::App;

const GOOD: &str = r#"[source]
url = "https://example.com/erp.git"
branch = "main"

[service]
user = "deploy"
units = [{ name = "erp.service", role = "web" }]

[build]

[database]
name = "erp"
owner = "erp"

[database.alembic]

[probe]

[[probe.http]]
url = "http://127.0.0.1:8000/health"
"#;

fn app() -> App {
    "erp".parse().unwrap()
}

/// What is said when the first text is replaced by the second.
fn said(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good text");
    match parse(&app(), Path::new("erp.toml"), &GOOD.replacen(from, to, 1)) {
        Err(error) => error.to_string(),
        Ok(_) => "nothing".to_owned(),
    }
}

/// Changes to the good text, each like a diff, and after `=` what is said about it.
const REFUSALS: [&str; 10] = [
    include_str!("refusals/document.txt"),
    include_str!("refusals/source.txt"),
    include_str!("refusals/push.txt"),
    include_str!("refusals/build.txt"),
    include_str!("refusals/service.txt"),
    include_str!("refusals/database.txt"),
    include_str!("refusals/backup.txt"),
    include_str!("refusals/gates.txt"),
    include_str!("refusals/probe.txt"),
    include_str!("refusals/notices.txt"),
];

#[test]
fn every_mistake_is_answered_word_for_word() {
    let (mut from, mut to) = (String::new(), String::new());
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in REFUSALS.iter().flat_map(|file| file.lines()) {
        let rest = line.get(1..).unwrap_or_default();
        if line.starts_with([' ', '-']) {
            from = from + rest + "\n";
        }
        if line.starts_with([' ', '+']) {
            to = to + rest + "\n";
        }
        if line.starts_with('=') {
            let said = said(&from, &to);
            if said != rest.trim_start() {
                wrong.push(format!("{to}= {said}"));
            }
            (from, to, cases) = (String::new(), String::new(), cases + 1);
        }
    }
    // All at once: whoever changes a message wants to see them together.
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    assert!(cases > 100, "only {cases} cases were found");
}

#[test]
fn what_is_unusual_but_right_is_taken() {
    assert_eq!(said("[build]", "[build]"), "nothing");
    for url in ["git@host:erp.git", "ssh://git@host:2222/erp.git"] {
        let to = format!("\"{url}\"\nkey = \"/etc/tsh-agent/credentials/erp.key\"");
        assert_eq!(said("\"https://example.com/erp.git\"", &to), "nothing");
    }
    assert_eq!(said("https://example.com/erp.git", "file:///srv/git/erp.git"), "nothing");
    let only_a_worker =
        GOOD.replacen("role = \"web\"", "role = \"worker\"", 1) + "[[probe.command]]\nargv = [\"true\"]";
    assert!(parse(&app(), Path::new("erp.toml"), &only_a_worker).is_ok());
}

#[test]
fn an_empty_file_lacks_the_first_key() {
    let error = parse(&app(), Path::new("erp.toml"), "").unwrap_err();
    assert_eq!(error.to_string(), "erp.toml: source: the key \"url\" is missing; add it below [source]");
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("erp.toml");
    let said = || {
        let error = load_from(&app(), &file).unwrap_err();
        assert_eq!(error.file, file);
        error.problem
    };
    assert_eq!(said(), "no such file, so there is no application \"erp\" here");
    fs::write(&file, [b'#'; 65 * 1024]).unwrap();
    assert_eq!(said(), "larger than 64 KiB; a configuration is a few kilobytes, so this must be another file");
    fs::write(&file, b"\n# \xff\n").unwrap();
    assert_eq!(said(), "not text in UTF-8; save the file in that encoding");
    assert_eq!(load_from(&app(), &file).unwrap_err().line, Some(2));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(said(), "cannot be read: Is a directory (os error 21)");
}

#[test]
fn applications_are_files_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(apps_in(&folder.path().join("absent")), Ok(Vec::new()));
    for name in ["shop.toml", "erp.toml", "erp.env", ".erp.toml", "erp.toml~"] {
        fs::write(folder.path().join(name), GOOD).unwrap();
    }
    assert_eq!(apps_in(folder.path()), Ok(vec![app(), "shop".parse().unwrap()]));
    assert!(load_from(&app(), &folder.path().join("erp.toml")).is_ok());

    fs::write(folder.path().join("My Shop.toml"), "").unwrap();
    let error = apps_in(folder.path()).unwrap_err();
    assert_eq!(error.file, folder.path().join("My Shop.toml"));
    assert_eq!(
        error.problem,
        "application \"My Shop\" is not valid: lower-case letters, digits and '-', starting with a letter, \
         at most 31 characters; rename the file"
    );
}
