//! Keys of programs.

use super::Look;
use super::text::pad;
use crate::model::key::KeyView;
use crate::when;

/// The table.
#[must_use]
pub fn keys(keys: &[KeyView], look: &Look) -> String {
    if keys.is_empty() {
        return "no keys; `sudo tsh-agent key add NAME --allow deploy,read` makes one\n".to_owned();
    }
    let line = |name: &str, app: &str, allow: &str, used: &str| {
        format!("{}  {}  {}  {used}\n", pad(name, 16), pad(app, 16), pad(allow, 11))
    };
    let mut out = line("NAME", "APP", "ALLOWED", "LAST USED");
    for key in keys {
        let allow: Vec<&str> = key.allow.iter().map(|allow| allow.word()).collect();
        let used = key.used.map_or_else(|| "never".to_owned(), |at| when::minute(at, &look.zone));
        out += &line(key.name.as_str(), key.app.as_str(), &allow.join(","), &used);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::fixtures::{ASKED, look};
    use crate::model::key::Allow;

    #[test]
    fn a_key_is_a_line() {
        let key = |name: &str, allow: &[Allow], used| KeyView {
            name: name.parse().unwrap(),
            app: "tsh-erp".parse().unwrap(),
            allow: allow.to_vec(),
            created: ASKED,
            used,
        };
        let all = [key("ci", &Allow::ALL, Some(ASKED)), key("dashboard", &[Allow::Read], None)];
        insta::assert_snapshot!(keys(&all, &look()), @r"
        NAME              APP               ALLOWED      LAST USED
        ci                tsh-erp           deploy,read  2026-11-21 14:02
        dashboard         tsh-erp           read         never
        ");
        assert!(keys(&[], &look()).starts_with("no keys; "));
    }
}
