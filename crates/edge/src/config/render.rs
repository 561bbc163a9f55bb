//! Faults as a good compiler shows them: place, words at fault underlined, what was expected, what was probably meant.
//!
//! Plain ASCII apart from what the file itself holds, so that it reads well in any terminal and log. Secrets in the
//! text are covered before anything is shown.

use super::fault::{Fault, Severity};
use core::fmt::Write as _;

/// Longest part of a line that is shown.
const WIDTH: usize = 120;

/// All faults, and a last line that counts them. `text` is the text they were found in.
pub fn render(faults: &[Fault], text: &str, file: &str) -> String {
    let covered = cover_secrets(text);
    let mut out = String::new();
    for fault in faults {
        one(&mut out, fault, &covered, file);
        out.push('\n');
    }
    out.push_str(&summary(faults, file));
    out.push('\n');
    out
}

/// `edge.toml: 2 errors, 1 warning`.
pub fn summary(faults: &[Fault], file: &str) -> String {
    let count = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
    let say = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => format!("{file}: good"),
        (0, warnings) => format!("{file}: good, with {}", say(warnings, "warning")),
        (errors, 0) => format!("{file}: {}", say(errors, "error")),
        (errors, warnings) => format!("{file}: {}, {}", say(errors, "error"), say(warnings, "warning")),
    }
}

// Writing into a `String` cannot fail, so the results say nothing.
fn one(out: &mut String, fault: &Fault, text: &str, file: &str) {
    let Fault { line, column, .. } = fault;
    let _ok = writeln!(out, "{file}:{line}:{column}: {}: {}", fault.severity.word(), fault.what);
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let index = usize::try_from(*line).unwrap_or(1).saturating_sub(1);
    let source = text.split('\n').nth(index).unwrap_or("").trim_end_matches('\r');
    let start = usize::try_from(*column).unwrap_or(1).saturating_sub(1);
    let (shown, before, under) = window(source, start, words(fault, text));
    let _ok = writeln!(out, "{gutter} |");
    let _ok = writeln!(out, "{number} | {}", shown.trim_end());
    let note = if fault.expected.is_empty() { String::new() } else { format!(" expected {}", fault.expected) };
    let _ok = writeln!(out, "{gutter} | {}{}{note}", " ".repeat(before), "^".repeat(under));
    if let Some(fix) = &fault.fix {
        let _ok = writeln!(out, "{gutter} = help: {fix}");
    }
}

/// How many characters are at fault, on their first line.
fn words(fault: &Fault, text: &str) -> usize {
    let at = text.get(fault.span.clone()).unwrap_or("");
    at.split(['\r', '\n']).next().unwrap_or("").chars().count()
}

/// The part of a line that is shown, how many characters come before the underline, and how long that is.
fn window(line: &str, start: usize, len: usize) -> (String, usize, usize) {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let all: Vec<char> = line.chars().map(clean).collect();
    let from = if start + len.min(WIDTH / 2) > WIDTH { start.saturating_sub(20) } else { 0 };
    let (head, before) = if from > 0 { ("... ", start - from + 4) } else { ("", start) };
    let shown: String = head.chars().chain(all.iter().copied().skip(from).take(WIDTH)).collect();
    let room = (from + WIDTH).saturating_sub(start).max(1);
    (shown, before, len.clamp(1, room))
}

/// The text with every secret covered by as many bytes of `*`, so that places stay right.
///
/// It works on the bare text and not on parsed TOML, because a text with a fault in its grammar is shown too.
/// What is written as `env:NAME` is no secret.
fn cover_secrets(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut from = 0;
    while let Some(equals) = text[from..].find('=').map(|at| from + at) {
        from = equals + 1;
        if !is_secret_key(last_word(&text[..equals])) {
            continue;
        }
        let value = equals + 1 + leading_space(&text[equals + 1..]);
        let end = value + value_len(&text[value..]);
        if !text[value..end].trim_start_matches(['"', '\'']).starts_with("env:") {
            for byte in bytes[value..end].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r' | b'"' | b'\'')) {
                *byte = b'*';
            }
        }
        from = end.max(from);
    }
    // Whole values were covered byte by byte, so what is left of them is ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

fn last_word(before: &str) -> &str {
    let before = before.trim_end().trim_end_matches(['"', '\'']);
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    &before[start..]
}

/// `secret`, a slip of it, or what others call it.
fn is_secret_key(word: &str) -> bool {
    let word = word.to_lowercase();
    ["pass", "pwd", "secret", "token"].iter().any(|part| word.contains(part))
        || super::suggest::nearest(&word, ["secret", "password"]).is_some()
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// How long a value is: to its closing quotes, or if there are none, to the end of what could be it.
fn value_len(text: &str) -> usize {
    for quotes in ["\"\"\"", "'''"] {
        if let Some(rest) = text.strip_prefix(quotes) {
            return rest.find(quotes).map_or(text.len(), |end| end + 6);
        }
    }
    let line = text.find('\n').unwrap_or(text.len());
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return line };
    let mut escaped = false;
    for (at, c) in text[..line].char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_places_stay() {
        for (text, shown) in [
            ("auth = { user = \"u\", secret = \"hunter2\" }", "auth = { user = \"u\", secret = \"*******\" }"),
            ("secret = \"env:NAME\"", "secret = \"env:NAME\""),
            ("\"secret\"=\"ab\\\"c\" x", "\"secret\"=\"***\"*\" x"),
            ("secrte = 'broken\nnext = 1", "secrte = '******\nnext = 1"),
            ("Password = hunter2", "Password = *******"),
            ("secret = \"\"\"\na\nb\"\"\"\nc = 1", "secret = \"\"\"\n*\n*\"\"\"\nc = 1"),
            ("name = \"x\"", "name = \"x\""),
        ] {
            assert_eq!(cover_secrets(text), shown);
        }
        assert_eq!(cover_secrets("secret = \"bøk\"").len(), "secret = \"bøk\"".len());
    }

    #[test]
    fn long_lines_are_cut_around_the_words_at_fault() {
        let line = format!("{}bad{}", "x".repeat(300), "y".repeat(300));
        let (shown, before, under) = window(&line, 300, 3);
        assert_eq!(shown.chars().skip(before).take(under).collect::<String>(), "bad");
        assert!(shown.chars().count() <= WIDTH + 4);
    }
}
