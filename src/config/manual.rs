//! What the commented example says: the one text about the settings, as `explain` and the manual page read it.

use toml::Value;

use super::document::nearest;

/// A piece of the example, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// Lines that belong to no key.
    Words(Vec<&'a str>),
    /// The head of a table.
    Table {
        /// As it is written: `[backup]` or `[[probe.http]]`.
        head: &'a str,
        /// Whether it is switched off.
        off: bool,
        /// What stands above it.
        says: Vec<&'a str>,
    },
    /// A key.
    Key {
        /// Its name in its table.
        name: &'a str,
        /// The value, on one line, as TOML.
        value: String,
        /// Whether it is switched off.
        off: bool,
        /// Whether the value only shows what one looks like.
        example: bool,
        /// What stands above it.
        says: Vec<&'a str>,
    },
}

/// The pieces of `example`, the text of `config/tsh-erp.toml`.
#[must_use]
pub fn items(example: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut says: Vec<&str> = Vec::new();
    let mut lines = example.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("# ").or_else(|| (line == "#").then_some("")) {
            says.push(text);
            continue;
        }
        let said = std::mem::take(&mut says);
        // What is switched off is explained as well.
        let (text, off) = line.strip_prefix('#').map_or((line, false), |text| (text, true));
        if text.starts_with('[') {
            items.push(Item::Table { head: text, off, says: said });
        } else if let Some((name, value)) = text.split_once(" = ") {
            let (value, example) = value.strip_suffix("  # example").map_or((value, false), |value| (value, true));
            let mut value = value.to_owned();
            // A list may go over several lines.
            while value.matches('[').count() > value.matches(']').count() {
                let Some(more) = lines.next() else { break };
                value.push_str(&format!(" {}", more.trim()));
            }
            items.push(Item::Key { name, value, off, example, says: said });
        } else if !said.is_empty() {
            items.push(Item::Words(said));
        }
    }
    if !says.is_empty() {
        items.push(Item::Words(says));
    }
    items
}

/// Lines as paragraphs; an empty line begins a new one.
#[must_use]
pub fn paragraphs(says: &[&str]) -> Vec<String> {
    says.split(|line| line.is_empty()).filter(|part| !part.is_empty()).map(|part| part.join(" ")).collect()
}

/// One key, with what is to be known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The head of its table, as it is written.
    pub head: &'static str,
    /// Its name in that table.
    pub name: &'static str,
    /// Its name from the top of the file: `probe.http.url`.
    pub path: String,
    /// What is said about it, a paragraph each.
    pub says: Vec<String>,
    /// Whether it must be there where its table is.
    pub required: bool,
    /// What counts where it is left out, if that is always the same.
    pub default: Option<Value>,
    /// What one looks like.
    pub example: Value,
}

/// One table, with its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// As it is written.
    pub head: &'static str,
    /// Its name: `probe.http`.
    pub path: String,
    /// What is said about it, a paragraph each.
    pub says: Vec<String>,
    /// Whether its defaults count where it is left out: none of its keys must be there, and it is switched on.
    pub always: bool,
    /// Its keys.
    pub entries: Vec<Entry>,
}

/// All of it.
#[must_use]
pub fn chapters() -> Vec<Chapter> {
    let mut chapters: Vec<Chapter> = Vec::new();
    for item in items(super::EXAMPLE) {
        match item {
            Item::Words(_) => {}
            Item::Table { head, off, says } => {
                let path = head.trim_matches(['[', ']']).to_owned();
                // A table in another one is there because somebody chose it.
                let always = !off && !path.contains('.');
                chapters.push(Chapter { head, path, says: paragraphs(&says), always, entries: Vec::new() });
            }
            Item::Key { name, value, off, example, says } => {
                if let (Some(chapter), Some(value)) = (chapters.last_mut(), read(&value)) {
                    chapter.add(name, &says, value, off && !example);
                }
            }
        }
    }
    chapters
}

impl Chapter {
    fn add(&mut self, name: &'static str, says: &[&str], value: Value, is_default: bool) {
        let mut said = paragraphs(says);
        // One text for several keys stands above the first of them.
        if let Some(last) = self.entries.last().filter(|_| said.is_empty()) {
            said.clone_from(&last.says);
        }
        let required = said.first().is_some_and(|text| text.starts_with("Required. "));
        let told = said.iter().find_map(|text| text.split_once("Default: ")).map(|(_, rest)| rest);
        let default = match told {
            // "Default: "auto"." is a value; "Default: the first HTTP probe." is for who can look.
            Some(told) => told.strip_suffix('.').and_then(read),
            None => Some(value.clone()).filter(|_| is_default),
        };
        self.always &= !required;
        let path = format!("{}.{name}", self.path);
        self.entries.push(Entry { head: self.head, name, path, says: said, required, default, example: value });
    }
}

impl Entry {
    /// The bounds of the value, as the text tells them: "1s to 1h".
    #[must_use]
    pub fn range(&self) -> Option<String> {
        let words: Vec<&str> = self.says.iter().flat_map(|text| text.split_whitespace()).collect();
        let bound = |word: &str| word.trim_end_matches(['.', ',', ';', ':']).to_owned();
        words.iter().enumerate().find_map(|(at, word)| {
            let (from, to) = (words.get(at.checked_sub(1)?)?, words.get(at + 1)?);
            if *word != "to" || !from.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            match (to.starts_with(|c: char| c.is_ascii_digit()), words.get(at + 2)) {
                (true, _) => Some(format!("{from} to {}", bound(to))),
                (false, Some(what)) if *to == "the" => Some(format!("{from} to the {}", bound(what))),
                _ => None,
            }
        })
    }
}

/// A value as TOML has it, if it is one.
fn read(text: &str) -> Option<Value> {
    toml::from_str::<toml::Table>(&format!("x = {text}")).ok()?.remove("x")
}

/// What somebody asks after.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A key.
    Key(Box<Entry>),
    /// A table.
    Table(Chapter),
}

/// `probe.http[1].url` without the place in the list.
pub(super) fn without_places(key: &str) -> String {
    key.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

/// What a name means: a key from the top of the file, a table, or a key whose name is its alone.
///
/// # Errors
/// Why it means nothing, and what may have been meant.
pub fn find(name: &str) -> Result<Subject, (String, String)> {
    // Each entry of a list is explained alike.
    let (chapters, wanted) = (chapters(), without_places(name));
    let entries: Vec<&Entry> = chapters.iter().flat_map(|chapter| &chapter.entries).collect();
    if let Some(chapter) = chapters.iter().find(|chapter| chapter.path == wanted || chapter.head == name) {
        return Ok(Subject::Table(chapter.clone()));
    }
    let named: Vec<&Entry> = match entries.iter().find(|entry| entry.path == wanted) {
        Some(entry) => vec![entry],
        None => entries.iter().copied().filter(|entry| entry.name == wanted).collect(),
    };
    match named.as_slice() {
        [one] => Ok(Subject::Key(Box::new((*one).clone()))),
        [] => {
            let known: Vec<&str> = entries.iter().flat_map(|entry| [entry.path.as_str(), entry.name]).collect();
            let near = nearest(&wanted, &known).map_or_else(
                || "`tsh-agent config show` lists those in force, `man tsh-agent.toml` all".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            Err((format!("there is no setting {name:?}"), near))
        }
        several => {
            let paths: Vec<&str> = several.iter().map(|entry| entry.path.as_str()).collect();
            Err((format!("{name} is the name of several settings"), format!("ask for one of {}", paths.join(", "))))
        }
    }
}
