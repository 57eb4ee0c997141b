//! Columns of a terminal.

/// How many columns `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A rule of thumb, good for names and commit subjects; a table of all of Unicode is not worth it here.
fn columns(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// `text` on one line, cut to `room` columns.
pub fn fit(text: &str, room: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&text, room)
}

/// A line as it is, cut to `room` columns; tabs become spaces.
pub fn cut(line: &str, room: usize) -> String {
    let line = line.replace('\t', "    ");
    if width(&line) <= room {
        return line;
    }
    let mut out = String::new();
    let mut left = room.saturating_sub(1);
    for c in line.chars() {
        match left.checked_sub(columns(c)) {
            Some(less) => left = less,
            None => break,
        }
        out.push(c);
    }
    if room > 0 {
        out.push('…');
    }
    out
}

/// `text` filled up with spaces to `room` columns.
pub fn pad(text: &str, room: usize) -> String {
    format!("{text}{}", " ".repeat(room.saturating_sub(width(text))))
}

/// `text` broken at spaces into lines of `room` columns. A word that is longer stays whole: it is a path or
/// an address that somebody wants to copy.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_to_its_columns() {
        assert_eq!(fit("a  b\nc", 9), "a b c");
        assert_eq!(fit("Grüße an alle", 8), "Grüße a…");
        assert_eq!(fit("你好世界", 5), "你好…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(cut("\tx  y", 20), "    x  y");
        assert_eq!(wrap("one two /a/very/long/path x", 8), ["one two", "/a/very/long/path", "x"]);
        assert_eq!(pad("你", 4), "你  ");
    }
}
