//! Finds the word that was probably meant.

/// Of `words` the one that is at most two slips away from `written`, and nearer than by rewriting half of it.
pub(crate) fn meant<'a>(
    written: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nobody's slip is that long, and the distance costs length times length.
    if written.chars().count() > 40 {
        return None;
    }
    let written = written.to_lowercase();
    let near = words.into_iter().filter_map(|word| {
        let distance = distance(&written, &word.to_lowercase());
        let limit = (word.chars().count() / 2).min(2);
        (distance <= limit).then_some((distance, word))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// " (did you mean word?)", or nothing.
pub(crate) fn hint<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    meant(written, words).map_or_else(String::new, |word| format!(" (did you mean {word}?)"))
}

/// Characters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let words = ["service", "user", "group", "network", "tty"];
        for (written, word) in [
            ("serivce", Some("service")),
            ("User", Some("user")),
            ("grup", Some("group")),
            ("networks", Some("network")),
            ("ty", Some("tty")),
            ("host", None),
            ("", None),
            ("wen", None),
        ] {
            assert_eq!(meant(written, words), word, "{written}");
        }
        assert_eq!(hint("tyt", words), " (did you mean tty?)");
        assert_eq!(hint(&"user".repeat(50), words), "");
    }
}
