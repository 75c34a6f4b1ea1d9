//! The lines and words of a PAM file, as libpam cuts them. It knows no meaning of a word.
//!
//! After Linux-PAM 1.5.2, seen by running it: `#` cuts a line even inside brackets, and ends a joined one; a line ending
//! in a backslash, blanks after it allowed, goes on in the next; a comment between the two is skipped; a file that ends
//! in such a line cannot be read at all.

/// Longest line that every version of libpam reads alike, in bytes: 1.5.2 cuts at 1,023 and takes the rest for a new one.
const LONGEST: usize = 1000;

/// A line with something on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: u32,
    /// Without comment and joined.
    pub(super) text: String,
}

/// Why a file cannot be cut into lines for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The last line ends in a backslash: libpam gives the whole file up.
    EndsInJoin(u32),
    /// Longer than all versions read alike.
    TooLong(u32),
    /// A NUL byte, at which C stops reading the line.
    Nul(u32),
}

/// Cuts a file into lines, and says what is doubtful.
pub(super) fn logical(text: &str) -> (Vec<Line>, Vec<Trouble>) {
    let mut lines = Vec::new();
    let mut troubles = Vec::new();
    let mut open: Option<Line> = None;
    for (number, raw) in (1..).zip(text.split_inclusive('\n')) {
        if raw.contains('\0') {
            troubles.push(Trouble::Nul(number));
        }
        let start = raw.trim_start_matches([' ', '\t', '\n']);
        if start.is_empty() || start.starts_with('#') {
            continue;
        }
        let mut line = open.take().unwrap_or(Line {
            number,
            text: String::new(),
        });
        let (kept, goes_on) = match raw.split_once('#') {
            Some((before, _)) => (before, false),
            None => match raw.trim_end_matches([' ', '\t', '\n']).strip_suffix('\\') {
                Some(before) => (before, true),
                None => (raw, false),
            },
        };
        line.text.push_str(kept);
        if line.text.len() > LONGEST || raw.len() > LONGEST {
            troubles.push(Trouble::TooLong(number));
        }
        if goes_on {
            line.text.push(' ');
            open = Some(line);
        } else {
            lines.push(line);
        }
    }
    if let Some(line) = open {
        troubles.push(Trouble::EndsInJoin(line.number));
    }
    (lines, troubles)
}

/// The words of a line. A word in brackets may hold blanks; it loses them, and `\]` inside becomes `]`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n']);
        if let Some(inside) = rest.strip_prefix('[') {
            let (word, after) = bracketed(inside);
            words.push(word);
            rest = after;
        } else if rest.is_empty() {
            return words;
        } else {
            let end = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            // What ended the word is eaten with it, so that the next may begin with a bracket at once.
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
}

fn bracketed(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ']' => return (word, &text[at + 1..]),
            '\\' if letters.peek().is_some_and(|(_, next)| *next == ']') => {
                word.push(']');
                letters.next();
            }
            _ => word.push(letter),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let (lines, troubles) = logical(text);
        assert!(troubles.is_empty(), "{troubles:?}");
        lines
            .iter()
            .map(|line| words(&line.text).join("|"))
            .collect()
    }

    #[test]
    fn a_backslash_joins_and_a_comment_cuts() {
        assert_eq!(
            texts(
                "auth required \\  \n# between\n pam_a.so x\n\n  auth [success=ok # default=die]\n"
            ),
            ["auth|required|pam_a.so|x", "auth|success=ok "]
        );
        assert_eq!(
            texts("auth required a.so \\ # x\nb"),
            ["auth|required|a.so|\\", "b"]
        );
    }

    #[test]
    fn a_bracket_is_one_word_wherever_it_stands() {
        assert_eq!(
            words("[auth]\t[a=1 b=2]pam_x.so [y \\] z]"),
            ["auth", "a=1 b=2", "pam_x.so", "y ] z"]
        );
        assert_eq!(words("auth [open pam_x.so"), ["auth", "open pam_x.so"]);
    }

    #[test]
    fn what_cannot_be_cut_for_certain_is_said() {
        assert_eq!(logical("auth a\nauth b \\\n").1, [Trouble::EndsInJoin(2)]);
        assert_eq!(logical(&"x".repeat(1100)).1, [Trouble::TooLong(1)]);
        assert_eq!(logical("a\nb\0c\n").1, [Trouble::Nul(2)]);
    }
}
