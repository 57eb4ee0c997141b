//! The migrations of a commit by their files alone. Nothing of the commit is run, so what only a program could tell is
//! said to be unknown; the inspection of the built release has the last word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::tree::Tree;
use crate::config;
use crate::model::names::SchemaRevision;
use crate::model::plan::{Migration, Migrations};

/// What is known of the migrations of one commit: all of them, by revision, or why not.
type Known = Result<BTreeMap<SchemaRevision, Script>, String>;

/// One migration.
#[derive(Clone)]
struct Script {
    migration: Migration,
    /// What it builds upon.
    below: Vec<SchemaRevision>,
    /// What must have run before, on another branch.
    also: Vec<SchemaRevision>,
}

/// How the migrations differ, and which of `now` are pending on a database at `current`.
pub fn compare(
    tool: &config::Migrations,
    before: Option<&Tree<'_>>,
    now: &Tree<'_>,
    current: Option<&[SchemaRevision]>,
) -> Migrations {
    let read = |tree: &Tree<'_>| match tool {
        config::Migrations::Alembic { ini, .. } => alembic(tree, ini),
        config::Migrations::Django { .. } => Ok(django(tree)),
        config::Migrations::Commands { .. } => Ok(BTreeMap::new()),
    };
    let new = match read(now) {
        Ok(new) => new,
        Err(why) => return Migrations { unknown: Some(why), ..Migrations::default() },
    };
    let mut found = Migrations::default();
    // What cannot be read on the other side is not told as a difference.
    if let Some(Ok(old)) = before.map(read) {
        let only = |of: &BTreeMap<SchemaRevision, Script>, without: &BTreeMap<SchemaRevision, Script>| {
            let only = of.values().filter(|script| !without.contains_key(&script.migration.revision));
            only.map(|script| script.migration.clone()).collect::<Vec<_>>()
        };
        (found.added, found.removed) = (only(&new, &old), only(&old, &new));
        let other = |script: &&Script| {
            old.get(&script.migration.revision).is_some_and(|old| old.migration.sha256 != script.migration.sha256)
        };
        found.edited = new.values().filter(other).map(|script| script.migration.clone()).collect();
    }
    match tool {
        config::Migrations::Alembic { .. } => match current {
            Some(current) => wait(&mut found, &new, current),
            None => found.unknown = Some("the revision of the live database is not known".to_owned()),
        },
        config::Migrations::Django { .. } => {
            found.unknown = Some("which ones have run, only Django tells".to_owned());
        }
        config::Migrations::Commands { .. } => {
            found.unknown = Some("only the command `database.pending` tells".to_owned());
        }
    }
    found
}

/// Finds those that are pending on a database at `current`.
fn wait(found: &mut Migrations, all: &BTreeMap<SchemaRevision, Script>, current: &[SchemaRevision]) {
    let built_upon: BTreeSet<&SchemaRevision> = all.values().flat_map(|script| &script.below).collect();
    let heads: Vec<&SchemaRevision> = all.keys().filter(|revision| !built_upon.contains(revision)).collect();
    if heads.len() > 1 {
        let names: Vec<&str> = heads.iter().map(|head| head.as_str()).collect();
        found.trouble = Some(format!("the migrations have {} heads: {}", heads.len(), names.join(", ")));
    }
    if let Some(unknown) = current.iter().find(|revision| !all.contains_key(revision)) {
        found.unknown = Some(format!("the database is at {unknown}, which this revision does not know"));
        return;
    }
    let ran = below(all, current.iter());
    let wanted = below(all, heads.into_iter());
    let mut left: Vec<&Script> =
        all.values().filter(|script| wanted.contains(&script.migration.revision)).collect::<Vec<_>>();
    left.retain(|script| !ran.contains(&script.migration.revision));
    // Each after what it builds upon. What never gets its turn goes round in a circle.
    while let Some(at) = left.iter().position(|script| {
        let needs = |other: &&Script| script.needs().any(|revision| *revision == other.migration.revision);
        !left.iter().any(needs)
    }) {
        found.pending.push(left.remove(at).migration.clone());
    }
    if let Some(script) = left.first() {
        found.unknown = Some(format!("{} builds upon itself", script.migration.file));
    }
}

impl Script {
    fn needs(&self) -> impl Iterator<Item = &SchemaRevision> {
        self.below.iter().chain(&self.also)
    }
}

/// These revisions and all that they build upon.
fn below<'a>(
    all: &'a BTreeMap<SchemaRevision, Script>,
    from: impl Iterator<Item = &'a SchemaRevision>,
) -> BTreeSet<&'a SchemaRevision> {
    let mut open: Vec<&SchemaRevision> = from.collect();
    let mut seen = BTreeSet::new();
    while let Some(revision) = open.pop() {
        if seen.insert(revision) {
            open.extend(all.get(revision).into_iter().flat_map(Script::needs));
        }
    }
    seen
}

/// Alembic's scripts, where `ini` says that they are.
fn alembic(tree: &Tree<'_>, ini: &Path) -> Known {
    let at = tree.at(ini).ok_or_else(|| format!("{} is outside of the repository", ini.display()))?;
    let text = tree.text(&at).ok_or_else(|| format!("the revision has no {}", at.display()))?;
    let mut all = BTreeMap::new();
    let deep = option(&text, "recursive_version_locations").is_some_and(|value| value == "true");
    for folder in folders(tree, &at, &text)? {
        for file in tree.files(&folder, deep) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // As Alembic chooses them.
            if !name.ends_with(".py") || name.starts_with("__init__") || name.starts_with(".#") {
                continue;
            }
            let text = tree.text(&file).unwrap_or_default();
            let shown = tree.shown(&file);
            let script = script(&shown, &text).map_err(|why| format!("{shown} is not understood: {why}"))?;
            if let Some(twin) = all.insert(script.migration.revision.clone(), script) {
                return Err(format!("{shown} and {} have one revision", twin.migration.file));
            }
        }
    }
    let missing = |script: &&Script| script.needs().find(|revision| !all.contains_key(revision)).cloned();
    match all.values().find_map(|script| Some((script, missing(&script)?))) {
        Some((script, missing)) => Err(format!("{} builds upon {missing}, which is not there", script.migration.file)),
        None => Ok(all),
    }
}

/// Where the scripts lie.
fn folders(tree: &Tree<'_>, ini: &Path, text: &str) -> Result<Vec<PathBuf>, String> {
    let here = ini.parent().unwrap_or(Path::new("")).to_owned();
    let place = |value: &str| {
        let path = match value.strip_prefix("%(here)s") {
            Some(rest) => super::tree::plain(&here.join(rest.trim_start_matches('/'))),
            None => tree.at(Path::new(value)),
        };
        let strange = value.contains(':') || value.contains('%') && !value.starts_with("%(here)s");
        path.filter(|_| !strange).ok_or_else(|| format!("{} names a place outside of it: {value}", ini.display()))
    };
    if let Some(listed) = option(text, "version_locations") {
        // `%(here)s/a:%(here)s/b`, or with blanks, commas or line ends in between.
        return listed.split([':', ' ', ',', '\n', ';']).filter(|part| !part.is_empty()).map(place).collect();
    }
    let home = option(text, "script_location").ok_or_else(|| format!("{} has no script_location", ini.display()))?;
    Ok(vec![place(&home)?.join("versions")])
}

/// The value of an option of `[alembic]`.
fn option(text: &str, name: &str) -> Option<String> {
    let inside = text.lines().skip_while(|line| line.trim() != "[alembic]").skip(1);
    let inside = inside.take_while(|line| !line.starts_with('['));
    let mut value: Option<String> = None;
    for line in inside {
        match (&mut value, line.split_once('=')) {
            // A value goes on in lines that are indented.
            (Some(value), _) if line.starts_with([' ', '\t']) => *value += &format!("\n{}", line.trim()),
            (Some(_), _) => break,
            (None, Some((key, first))) if key.trim() == name => value = Some(first.trim().to_owned()),
            _ => {}
        }
    }
    value.map(|value| value.trim().to_owned())
}

/// What one file says.
fn script(file: &str, text: &str) -> Result<Script, String> {
    let one = assigned(text, "revision")?.ok_or("it names no revision")?;
    let [revision] = one.as_slice() else { return Err("it does not name one revision".to_owned()) };
    let parse = |name: &String| name.parse::<SchemaRevision>().map_err(|bad| bad.to_string());
    let names = |key| assigned(text, key)?.unwrap_or_default().iter().map(parse).collect::<Result<Vec<_>, String>>();
    let migration =
        Migration { revision: parse(revision)?, title: title(text), file: file.to_owned(), sha256: digest(text) };
    Ok(Script { migration, below: names("down_revision")?, also: names("depends_on")? })
}

/// As the inspection does it: of the text, whatever its line ends are.
fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.replace("\r\n", "\n"));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first paragraph of the description.
fn title(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let quoted = ["\"\"\"", "'''"].into_iter().find_map(|quote| {
        let rest = text.strip_prefix(quote)?;
        Some(rest.split(quote).next().unwrap_or(rest))
    });
    let first = quoted.unwrap_or_default().trim_start().replace("\r\n", "\n");
    let first = first.split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// The texts that a module gives a name: none for `None`, `None` where the name is not given.
fn assigned(text: &str, name: &str) -> Result<Option<Vec<String>>, String> {
    let given = text.match_indices(name).find_map(|(at, _)| {
        let starts = at == 0 || text.as_bytes()[at - 1] == b'\n';
        let rest = &text[at + name.len()..];
        if !starts || !rest.starts_with([' ', ':', '=']) {
            return None;
        }
        let line = rest.lines().next().unwrap_or_default();
        let equals = line.find('=')?;
        Some(rest[equals + 1..].trim_start_matches([' ', '\t']))
    });
    given.map(|value| literal(value).ok_or_else(|| format!("`{name}` is no plain text"))).transpose()
}

/// `None`, a text, or several in brackets.
fn literal(value: &str) -> Option<Vec<String>> {
    if value.starts_with("None") {
        return Some(Vec::new());
    }
    let close = match value.chars().next()? {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        _ => return Some(vec![quoted(value)?.0]),
    };
    let (mut rest, mut all) = (&value[1..], Vec::new());
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', ',']);
        if rest.starts_with(close) {
            return Some(all);
        }
        let (text, after) = quoted(rest)?;
        all.push(text);
        rest = after;
    }
}

/// The text in quotes at the beginning, and what comes after it.
fn quoted(value: &str) -> Option<(String, &str)> {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let (text, rest) = value[1..].split_once(quote)?;
    (!text.contains(['\\', '\n'])).then(|| (text.to_owned(), rest))
}

/// Django's: numbered files in folders called `migrations`, named as Django names them.
fn django(tree: &Tree<'_>) -> BTreeMap<SchemaRevision, Script> {
    let Some(top) = tree.at(Path::new("")) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for file in tree.files(&top, true) {
        let Some(folder) = file.parent().filter(|folder| folder.ends_with("migrations")) else { continue };
        let app = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let numbered =
            stem.starts_with(|c: char| c.is_ascii_digit()) && file.extension().is_some_and(|end| end == "py");
        let Some(revision) = format!("{app}.{stem}").parse::<SchemaRevision>().ok().filter(|_| numbered) else {
            continue;
        };
        let text = tree.text(&file).unwrap_or_default();
        let (file, sha256) = (tree.shown(&file), digest(&text));
        let migration = Migration { revision: revision.clone(), title: String::new(), file, sha256 };
        all.insert(revision, Script { migration, below: Vec::new(), also: Vec::new() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_says_is_read_without_running_it() {
        let read = |text: &str| {
            script("v/x.py", text).map(|found| {
                let below: Vec<_> = found.below.iter().chain(&found.also).map(|one| one.as_str()).collect();
                format!("{} on {}: {}", found.migration.revision, below.join(" "), found.migration.title)
            })
        };
        let text = "\"\"\"Add a\n  note\n\nRevision ID: b\n\"\"\"\nimport x\n\nrevision: str = 'b'\n\
                    down_revision: Union[str, None] = \"a\"\nbranch_labels = None\ndepends_on = None\n";
        assert_eq!(read(text).unwrap(), "b on a: Add a note");
        assert_eq!(read("revision = \"a\"\ndown_revision = None\n").unwrap(), "a on : ");
        let merge = "'''Merge'''\nrevision='m'\ndown_revision = (\n    \"a\",\n    'b',\n)\ndepends_on = ['c']\n";
        assert_eq!(read(merge).unwrap(), "m on a b c: Merge");
        for (text, why) in [
            ("", "it names no revision"),
            ("revision = make()\n", "`revision` is no plain text"),
            ("revision = 'b'\ndown_revision = OLD\n", "`down_revision` is no plain text"),
            ("revision = 'b'\ndown_revision = ('a', OLD)\n", "`down_revision` is no plain text"),
            ("revision = None\n", "it does not name one revision"),
        ] {
            assert_eq!(read(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn what_is_pending_comes_in_the_order_in_which_it_runs() {
        let graph = |edges: &[(&str, &str)]| -> BTreeMap<SchemaRevision, Script> {
            let one = |(revision, below): &(&str, &str)| {
                let below =
                    if below.is_empty() { "None".to_owned() } else { format!("('{}',)", below.replace(' ', "','")) };
                let found = script("x", &format!("revision = '{revision}'\ndown_revision = {below}\n")).unwrap();
                (found.migration.revision.clone(), found)
            };
            edges.iter().map(one).collect()
        };
        let pending = |edges: &[(&str, &str)], current: &[&str]| {
            let current: Vec<SchemaRevision> = current.iter().map(|name| name.parse().unwrap()).collect();
            let mut found = Migrations::default();
            wait(&mut found, &graph(edges), &current);
            let names: Vec<_> = found.pending.iter().map(|one| one.revision.to_string()).collect();
            (names.join(" "), found.unknown.or(found.trouble).unwrap_or_default())
        };
        let line = [("c", ""), ("b", "c"), ("a", "b")];
        assert_eq!(pending(&line, &["c"]), ("b a".into(), String::new()));
        assert_eq!(pending(&line, &[]), ("c b a".into(), String::new()));
        assert_eq!(pending(&line, &["a"]), (String::new(), String::new()));
        let told = "the database is at z, which this revision does not know";
        assert_eq!(pending(&line, &["z"]), (String::new(), told.into()));
        assert_eq!(pending(&[("a", ""), ("c", "a"), ("b", "a"), ("m", "b c")], &["b"]).0, "c m");
        assert_eq!(pending(&[("a", ""), ("b", "a"), ("c", "a")], &["a"]).1, "the migrations have 2 heads: b, c");
    }

    #[test]
    fn an_option_is_read_from_its_section_alone() {
        let text = "[x]\nscript_location = no\n[alembic]\n# script_location = old\nscript_location = %(here)s/a\n\
                    version_locations =\n    %(here)s/a\n    b\nfile = 1\n[y]\nversion = 2\n";
        assert_eq!(option(text, "script_location").unwrap(), "%(here)s/a");
        assert_eq!(option(text, "version_locations").unwrap(), "%(here)s/a\nb");
        assert_eq!(option(text, "version"), None);
    }
}
