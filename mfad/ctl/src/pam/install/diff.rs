//! The difference of two short texts, line by line, as `diff -u` shows it. It knows nothing of PAM.

use std::fmt::Write as _;

/// Lines shown around a change.
const CONTEXT: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// The difference under the file's name.
pub(super) fn unified(name: &str, old: &str, new: &str) -> String {
    let lines = lines(old, new);
    let changed = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let mut text = format!("--- {name}\n+++ {name} (new)\n");
    let mut skipped = false;
    for (at, line) in lines.iter().enumerate() {
        let near = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len());
        if !lines[near].iter().any(changed) {
            skipped = true;
            continue;
        }
        if skipped {
            text.push_str(" …\n");
            skipped = false;
        }
        let (mark, content) = match line {
            Line::Same(content) => (' ', content),
            Line::Old(content) => ('-', content),
            Line::New(content) => ('+', content),
        };
        let _ = writeln!(text, "{mark}{}", mfad_protocol::printable(content));
    }
    text
}

/// By the longest common subsequence; stacks have a hundred lines at most, and a file that is longer than a thousand is
/// shown as replaced.
fn lines<'t>(old: &'t str, new: &'t str) -> Vec<Line<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > 1000 || new.len() > 1000 {
        let all_old = old.into_iter().map(Line::Old);
        return all_old.chain(new.into_iter().map(Line::New)).collect();
    }
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for left in (0..old.len()).rev() {
        for right in (0..new.len()).rev() {
            common[left][right] = if old[left] == new[right] {
                common[left + 1][right + 1] + 1
            } else {
                common[left + 1][right].max(common[left][right + 1])
            };
        }
    }
    let (mut left, mut right) = (0, 0);
    let mut lines = Vec::new();
    while left < old.len() || right < new.len() {
        if left < old.len() && right < new.len() && old[left] == new[right] {
            lines.push(Line::Same(old[left]));
            left += 1;
            right += 1;
        } else if right == new.len()
            || (left < old.len() && common[left + 1][right] >= common[left][right + 1])
        {
            lines.push(Line::Old(old[left]));
            left += 1;
        } else {
            lines.push(Line::New(new[right]));
            right += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown_and_what_is_around_it() {
        let old = "1\n2\n3\n4\n5\n6\nauth required a\n7\n8\n9\n";
        let new = "1\n2\n3\n4\n5\n6\nauth required b\nauth required c\n7\n8\n9\n";
        insta::assert_snapshot!(unified("f", old, new), @r"
        --- f
        +++ f (new)
         …
         5
         6
        -auth required a
        +auth required b
        +auth required c
         7
         8
        ");
        assert_eq!(unified("f", old, old).lines().count(), 2);
    }
}
