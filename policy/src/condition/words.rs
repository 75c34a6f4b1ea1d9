//! Reads conditions that choose among a few words. It knows no word's meaning.

use std::fmt;

use crate::{
    diagnostic::quoted,
    document::{Findings, Value},
    suggest,
};

/// The chosen of the words that `all` lists, each with what it stands for. What is wrong is noted.
pub(crate) fn read<T: Copy + PartialEq>(
    value: Value<'_>,
    all: &[(&'static str, T)],
    findings: &mut Findings<'_>,
) -> Option<Vec<T>> {
    let strings = value.strings(findings)?;
    let count = strings.len();
    let mut chosen = Vec::with_capacity(count);
    for (text, span) in strings {
        match all.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) if chosen.contains(meaning) => {
                let message = format!("{} is listed twice", quoted(text));
                findings.error(span, message);
            }
            Some((_, meaning)) => chosen.push(*meaning),
            None => findings.error(span, unknown(value.key(), text, all)),
        }
    }
    (chosen.len() == count).then_some(chosen)
}

/// Says that `text` is none of the words.
pub(crate) fn unknown<T>(key: &str, text: &str, all: &[(&'static str, T)]) -> String {
    let words = || all.iter().map(|(word, _)| *word);
    let hint = suggest::hint(text, words());
    let words: Vec<&str> = words().collect();
    format!(
        "`{key}` cannot be {}{hint}; it is {}",
        quoted(text),
        words.join(", ")
    )
}

/// Writes words as a TOML list.
pub(crate) fn list<'w>(
    f: &mut fmt::Formatter<'_>,
    words: impl Iterator<Item = &'w str>,
) -> fmt::Result {
    for (position, word) in words.enumerate() {
        let before = if position == 0 { "[" } else { ", " };
        write!(f, "{before}\"{word}\"")?;
    }
    f.write_str("]")
}
