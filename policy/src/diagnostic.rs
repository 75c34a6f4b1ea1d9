//! Says where a text is wrong, and why. It reads and decides nothing.

use std::{fmt, ops::Range};

/// A text and what to call it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Shown in diagnostics, as in `/etc/mfa/policy.toml`.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// One error, at its place. Displayed as `file:line:column: message`, which editors and `grep` understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Name of the source.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and, where that is known, what to write instead.
    pub message: String,
    excerpt: String,
    width: usize,
}

/// Longest excerpt of a line, in characters.
const EXCERPT: usize = 160;
/// Most characters of a text that a message quotes.
const QUOTED: usize = 64;

impl Diagnostic {
    /// An error at `span`, in bytes of the source. A span outside of the text is moved to its end.
    pub(crate) fn at(source: &Source<'_>, span: Range<usize>, message: String) -> Self {
        let text = source.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text
            .floor_char_boundary(span.end.min(text.len()))
            .max(start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let column = before
            .get(line_start..)
            .map_or(0, |part| part.chars().count());
        let spanned = text.get(start..end).unwrap_or_default();
        Self {
            file: source.name.to_owned(),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: column + 1,
            message,
            excerpt: line_text.chars().take(EXCERPT).map(visible).collect(),
            width: spanned
                .lines()
                .next()
                .map_or(0, |line| line.chars().count()),
        }
    }

    /// The line in question with carets below the error, for a person's terminal; `None` where a line would not help
    /// (the error is the whole source's, or far to the right).
    pub fn caret(&self) -> Option<String> {
        let length = self.excerpt.chars().count();
        if self.excerpt.trim().is_empty() || self.column > length {
            return None;
        }
        let width = self.width.clamp(1, length - (self.column - 1));
        let gutter = self.line.to_string();
        Some(format!(
            "{gutter} | {}\n{:indent$} | {:skip$}{}",
            self.excerpt,
            "",
            "",
            "^".repeat(width),
            indent = gutter.len(),
            skip = self.column - 1,
        ))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

/// A broken file may hold anything, and what it holds ends on terminals and in the log.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_visible(c) => c,
        _ => '\u{FFFD}',
    }
}

/// Whether `c` shows itself and nothing else: it moves no cursor, hides no text and turns no reading order.
pub(crate) fn is_visible(c: char) -> bool {
    // An accent on its own is escaped at the beginning of a string only; a letter before it makes it ordinary.
    let escaped = String::from_iter(['x', c]).escape_debug().count() > 2;
    !escaped || matches!(c, '"' | '\'' | '\\')
}

/// `text` in quotes for a message: bounded, with nothing in it that moves a cursor or forges a line.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> Diagnostic {
        Diagnostic::at(&Source { name: "f", text }, span, "m".into())
    }

    #[test]
    fn a_place_is_counted_in_lines_and_characters_from_one() {
        assert_eq!(at("ab\ncd", 0..1).to_string(), "f:1:1: m");
        assert_eq!(at("ab\ncd", 4..5).to_string(), "f:2:2: m");
        assert_eq!(at("zoë = 1", 5..6).to_string(), "f:1:5: m");
        assert_eq!(at("a\r\nbc", 4..5).to_string(), "f:2:2: m");
    }

    #[test]
    fn a_span_outside_of_the_text_or_inside_a_character_is_moved_into_it() {
        assert_eq!(at("ab", 70..90).to_string(), "f:1:3: m");
        assert_eq!(at("ë", 1..1).to_string(), "f:1:1: m");
        assert_eq!(at("", 0..0).to_string(), "f:1:1: m");
    }

    #[test]
    fn the_caret_stands_below_the_error() {
        let caret = at("a = 1\n\tb = 'x'\n", 11..14).caret();
        assert_eq!(caret.as_deref(), Some("2 |  b = 'x'\n  |      ^^^"));
    }

    #[test]
    fn there_is_no_caret_where_there_is_nothing_to_show() {
        assert_eq!(at("", 0..0).caret(), None);
        assert_eq!(at(&"x".repeat(1000), 999..1000).caret(), None);
    }

    #[test]
    fn hostile_bytes_reach_neither_the_message_nor_the_excerpt() {
        let found = at("a = \"\u{1b}[2J\u{202e}\"", 0..1);
        assert_eq!(
            found.caret().as_deref(),
            Some("1 | a = \"\u{fffd}[2J\u{fffd}\"\n  | ^")
        );
        assert_eq!(quoted("\u{1b}[2J\n\u{202e}"), "\"\\u{1b}[2J\\n\\u{202e}\"");
        assert!(quoted(&"x".repeat(10_000)).len() < 80);
    }
}
