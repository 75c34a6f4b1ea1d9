//! Estimates, before a text is parsed, what its tree would weigh in memory. It judges no syntax.
//!
//! The parser makes a table of about a kibibyte from a single dot in a key: four mebibytes of dots would be gigabytes.

/// Greatest weight of a text that is parsed: about 150 MB. 20,000 rules, or 100,000 networks, weigh less.
pub(crate) const MAX_WEIGHT: usize = 1_000_000;

/// What a text would weigh: 1 for each value or line, some 150 bytes, 2 for each list, and 8 for each table.
pub(crate) fn weight(text: &str) -> usize {
    let mut weight = 0_usize;
    let mut begins_line = true;
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' | b'\'' => after_string(byte, rest),
            b'#' => {
                let end = after.iter().position(|byte| *byte == b'\n');
                after.get(end.unwrap_or(after.len())..).unwrap_or_default()
            }
            _ => after,
        };
        weight += match byte {
            b',' | b'\n' | b'=' => 1,
            b'[' if begins_line => 8,
            b'[' => 2,
            b'.' | b'{' => 8,
            _ => 0,
        };
        begins_line = byte == b'\n' || (begins_line && matches!(byte, b' ' | b'\t'));
    }
    weight
}

/// What follows a string that begins here with `quote`, or with three of them.
fn after_string(quote: u8, text: &[u8]) -> &[u8] {
    let long = text.starts_with(&[quote; 3]);
    let begin = if long { 3 } else { 1 };
    let mut rest = text.get(begin..).unwrap_or_default();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'\\' if quote == b'"' => after.get(1..).unwrap_or_default(),
            // A string of one line that does not end there is an error, and the next line is no string.
            b'\n' if !long => return rest,
            byte if byte == quote && !long => return after,
            byte if byte == quote && rest.starts_with(&[quote; 3]) => {
                return rest.get(3..).unwrap_or_default();
            }
            _ => after,
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_weigh_more_than_values_and_strings_and_comments_nothing() {
        for (text, expected) in [
            ("", 0),
            ("a = 1\n", 2),
            ("a.b.c = 1", 17),
            ("a = [1, 2]", 4),
            ("[[rule]]\nwhen = { x = 1 }", 8 + 2 + 1 + 1 + 8 + 1),
            ("a = \"1.2.3,[{\" # .,[{=", 1),
            ("a = '\\' . ''", 9),
            ("a = \"\\\".\" .", 9),
            ("a = \"\"\" \" . \"\" , \"\"\" .", 9),
            ("a = ''' ' . '''.", 9),
            ("a = \"not ended\n.", 10),
            ("# a.b\n.", 9),
            ("\"é.\\", 0),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }
}
