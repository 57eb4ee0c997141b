//! Text that others wrote (a commit's subject, the output of a build) is shown on an operator's terminal.
//! It must not be able to move the cursor, hide lines or set colours there.

/// `text` without escape sequences, control and direction characters; newlines and tabs stay.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => skip_until(&mut chars, |c| ('@'..='~').contains(&c)),
            // A title or a link: it ends with BEL or with ESC \.
            '\u{1b}' if chars.next_if_eq(&']').is_some() => {
                skip_until(&mut chars, |c| matches!(c, '\u{7}' | '\u{1b}' | '\n'));
                chars.next_if_eq(&'\\');
            }
            '\n' | '\t' => out.push(c),
            c if c.is_control() || is_direction(c) => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_until(chars: &mut impl Iterator<Item = char>, end: impl Fn(char) -> bool) {
    for c in chars.by_ref() {
        if end(c) {
            return;
        }
    }
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_commit_cannot_write_over_the_screen() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m, ok\r\n\tnext"), "red, ok\n\tnext");
        assert_eq!(plain("a\u{1b}]0;title\u{7}b\u{1b}]8;;http://x\u{1b}\\c"), "abc");
        assert_eq!(plain("x\u{202e}y\u{9b}31mz"), "xy31mz");
        assert_eq!(plain("Grüße – 你好 ✓"), "Grüße – 你好 ✓");
        assert_eq!(plain("\u{1b}["), "");
    }
}
