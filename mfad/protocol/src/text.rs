//! Making text from outside fit to be shown and logged.

/// Most characters of one foreign text that are shown or logged.
pub const MAX_SHOWN: usize = 256;

/// `text` with every character that could move a cursor, forge a log line or reverse the reading order replaced by
/// `\u{FFFD}`, cut to [`MAX_SHOWN`] characters.
///
/// Replaced are the controls C0, DEL and C1, line and paragraph separators, the bidirectional controls (Unicode
/// TR 36 §2.10) and other invisible format characters.
pub fn printable(text: &str) -> String {
    text.chars()
        .take(MAX_SHOWN)
        .map(|c| if is_deceptive(c) { '\u{FFFD}' } else { c })
        .collect()
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidi_marks_never_reach_a_terminal_or_a_log() {
        let hostile: String = ('\0'..='\u{1F}')
            .chain('\u{7F}'..='\u{9F}')
            .chain("\u{202E}\u{2066}\u{200F}".chars())
            .collect();
        assert!(printable(&hostile).chars().all(|c| c == '\u{FFFD}'));
    }

    #[test]
    fn ordinary_names_pass_unchanged() {
        for name in [
            "alice",
            "zoë",
            "Ελένη",
            "host.example.org",
            "203.0.113.9",
            "a b",
        ] {
            assert_eq!(printable(name), name);
        }
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(printable(&"x".repeat(10_000)).len(), MAX_SHOWN);
    }
}
