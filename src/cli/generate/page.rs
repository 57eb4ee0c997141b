//! `tsh-agent.toml(5)`, from the commented example: there is one text about the settings.

use std::fmt::Write as _;

use crate::config::manual::{self, Item};

const HEAD: &str = r#".TH TSH-AGENT.TOML 5 "" "tsh-agent" "File Formats"
.SH NAME
tsh-agent.toml \- how one application is deployed
.SH SYNOPSIS
.I /etc/tsh-agent/apps/<app>.toml
.SH DESCRIPTION
"#;
const FOOT: &str = r#".SH FILES
.TP
.I /usr/share/doc/tsh\-agent/example.toml
This page as a file to start from;
.B tsh\-agent init
writes one for an application that it finds on the server.
.SH SEE ALSO
.BR tsh\-agent (1),
.BR tsh\-agent (8)
"#;

/// The page; `example` is the text of `config/tsh-erp.toml`.
pub fn settings(example: &str) -> String {
    let mut page = HEAD.to_owned();
    for item in manual::items(example) {
        match item {
            Item::Words(says) => paragraphs(&mut page, &says, ".PP\n"),
            Item::Table { head, says, .. } => {
                let _ = writeln!(page, ".SH {}", plain(head).to_uppercase());
                paragraphs(&mut page, &says, ".PP\n");
            }
            Item::Key { name, value, off, example, says } => {
                let _ = write!(page, ".TP\n.BR {} \" = ", plain(name));
                let _ = writeln!(page, "{}\"", plain(&value).replace('"', "\\(dq"));
                paragraphs(&mut page, &says, ".IP\n");
                let kind = match (off, example) {
                    (true, false) => "The value above is the default.",
                    _ => "The value above is an example.",
                };
                let _ = writeln!(page, "{kind}");
            }
        }
    }
    page + FOOT
}

/// What stands above a key or a table; an empty line begins a new paragraph.
fn paragraphs(page: &mut String, said: &[&str], between: &str) {
    let parts: Vec<String> = manual::paragraphs(said).iter().map(|part| plain(part) + "\n").collect();
    page.push_str(&parts.join(between));
}

/// Text that troff takes as it is.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => plain.push_str("\\e"),
            '-' => plain.push_str("\\-"),
            c if c.is_ascii() => plain.push(c),
            c => plain.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    if plain.starts_with(['.', '\'']) { format!("\\&{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    #[test]
    fn a_key_has_its_value_and_what_is_said_of_it() {
        let page = settings(
            "# About all.\n\n# More.\n[source]\n# Required. Where.\nurl = \"ssh://a-b\"\n# Time.\n#timeout = \"2min\"\n",
        );
        let body = page.strip_prefix(HEAD).unwrap().strip_suffix(FOOT).unwrap();
        assert_eq!(
            body,
            "About all.\n.SH [SOURCE]\nMore.\n.TP\n.BR url \" = \\(dqssh://a\\-b\\(dq\"\nRequired. Where.\nThe value above is an example.\n\
             .TP\n.BR timeout \" = \\(dq2min\\(dq\"\nTime.\nThe value above is the default.\n"
        );
    }

    #[test]
    fn every_key_and_table_of_the_example_is_on_the_page() {
        let page = settings(EXAMPLE);
        for line in EXAMPLE.lines() {
            let text = line.strip_prefix('#').unwrap_or(line);
            if text.starts_with('[') {
                assert!(page.contains(&format!("\n.SH {}\n", plain(text).to_uppercase())), "{text}");
            } else if let Some((key, _)) = text.split_once(" = ").filter(|(key, _)| !key.contains([' ', '{'])) {
                assert!(page.contains(&format!("\n.BR {} \" = ", plain(key))), "{key}");
            }
        }
    }
}
