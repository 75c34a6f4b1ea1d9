//! Matches the names of users, groups and services: exact, or a glob of `*` and `?`.
//!
//! Nothing else is special, and what looks like another language's pattern is refused: a rule that silently matches
//! nobody is worse than one that is not accepted.

use std::{collections::HashSet, fmt, str::Chars};

use crate::{
    diagnostic::quoted,
    document::{Findings, QuotedList, Value},
};

/// Longest pattern, in bytes. No name that a login brings is longer.
const MAX_PATTERN: usize = 256;

/// Whether upper and lower case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// Users, groups.
    Matters,
    /// Services: PAM lower-cases them (ASCII).
    Ignored,
}

/// Patterns of which one must match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    patterns: Vec<String>,
    case: Case,
}

impl Names {
    /// Reads one pattern or a list of them.
    pub(crate) fn read(value: Value<'_>, case: Case, findings: &mut Findings<'_>) -> Option<Self> {
        let strings = value.strings(findings)?;
        let count = strings.len();
        let mut seen: HashSet<String> = HashSet::with_capacity(count);
        let mut patterns = Vec::with_capacity(count);
        for (text, span) in strings {
            let pattern = match case {
                Case::Matters => text.to_owned(),
                Case::Ignored => text.to_ascii_lowercase(),
            };
            if let Err(fault) = check(text, value.key()) {
                findings.error(span, fault);
            } else if seen.insert(pattern.clone()) {
                patterns.push(pattern);
            } else {
                findings.error(span, format!("{} is listed twice", quoted(text)));
            }
        }
        (patterns.len() == count).then_some(Self { patterns, case })
    }

    /// The patterns; where case is ignored, in lower case.
    pub(crate) fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether one of the patterns matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| glob(pattern, name, self.case))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        QuotedList(&self.patterns).fmt(f)
    }
}

/// Says what is wrong with a pattern, and what was probably meant.
fn check(pattern: &str, key: &str) -> Result<(), String> {
    let shown = quoted(pattern);
    if pattern.is_empty() {
        return Err(format!(
            "`{key}` holds an empty pattern; a glob is meant: a name, where `*` stands for any characters and `?` for one"
        ));
    }
    if pattern.len() > MAX_PATTERN {
        return Err(format!(
            "{shown} is longer than the {MAX_PATTERN} bytes of the longest name"
        ));
    }
    if pattern.trim() != pattern || pattern.chars().any(char::is_control) {
        return Err(format!(
            "{shown} holds blanks at an end or control characters, which no name has"
        ));
    }
    if pattern.contains(',') {
        return Err(format!(
            "{shown} holds a comma; write a list: [\"one\", \"other\"]"
        ));
    }
    if looks_like_regex(pattern) {
        return Err(format!(
            "{shown} looks like a regular expression; a glob is meant: `*` stands for any characters, `?` for one, and nothing else is special"
        ));
    }
    if pattern.starts_with(['!', '%', '@', '+']) || pattern == "ALL" {
        return Err(format!(
            "{shown} looks like sudoers or access.conf; there are no `!`, `%`, `@`, `+` or ALL here: put exceptions in a rule above, name groups with `group`, and leave a condition out to match all"
        ));
    }
    Ok(())
}

/// Signs of a regular expression that no name on a Linux system holds. A single backslash is allowed (`CORP\alice`), and a
/// dollar (`host$`): both occur in names of Active Directory.
fn looks_like_regex(pattern: &str) -> bool {
    let escapes = pattern.split('\\').skip(1).any(|rest| {
        !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '*' || c == '?')
    });
    escapes
        || pattern.starts_with('\\')
        || pattern.contains(['^', '(', ')', '[', ']', '{', '}', '|'])
        || [".*", ".+", ".?", "**"]
            .iter()
            .any(|sign| pattern.contains(sign))
}

/// Linear in the name for each `*`: after a mismatch only the last `*` can take one character more.
pub(crate) fn glob(pattern: &str, name: &str, case: Case) -> bool {
    let same = |a: char, b: char| match case {
        Case::Matters => a == b,
        Case::Ignored => a.eq_ignore_ascii_case(&b),
    };
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut last_star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut next_pattern, mut next_name) = (pattern.clone(), name.clone());
        let fits = match (next_pattern.next(), next_name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                last_star = Some((next_pattern.clone(), name.clone()));
                next_name = name.clone();
                true
            }
            (Some(wanted), Some(found)) => wanted == '?' || same(wanted, found),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if fits {
            (pattern, name) = (next_pattern, next_name);
            continue;
        }
        let Some((after_star, rest)) = &mut last_star else {
            return false;
        };
        if rest.next().is_none() {
            return false;
        }
        (pattern, name) = (after_star.clone(), rest.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_knows_star_and_question_mark_only() {
        for (pattern, name, expected) in [
            ("alice", "alice", true),
            ("alice", "alic", false),
            ("alice", "alicee", false),
            ("alice", "Alice", false),
            ("a*", "a", true),
            ("a*", "alice", true),
            ("*e", "alice", true),
            ("a*c*e", "alice", true),
            ("a*x*e", "alice", false),
            ("*ab", "aab", true),
            ("a?ice", "alice", true),
            ("a?ice", "aice", false),
            ("zo?", "zoë", true),
            ("*", "", true),
            ("?", "", false),
            ("a.c", "abc", false),
            ("CORP\\*", "CORP\\alice", true),
        ] {
            assert_eq!(
                glob(pattern, name, Case::Matters),
                expected,
                "{pattern} {name}"
            );
        }
        assert!(glob("sshd", "SSHD", Case::Ignored));
    }

    #[test]
    fn a_hostile_name_costs_no_more_than_pattern_times_name() {
        let pattern = "*a".repeat(100) + "b";
        assert!(!glob(&pattern, &"a".repeat(10_000), Case::Matters));
    }

    #[test]
    fn names_that_really_occur_are_accepted_as_patterns() {
        for name in [
            "alice",
            "www-data",
            "_apt",
            "host$",
            "CORP\\alice",
            "CORP\\*",
            "alice@example.org",
            "first.last",
            "Domain Admins",
            "zoë",
            "sudo-i",
            "polkit-1",
            "user_?",
            "a+b",
        ] {
            assert_eq!(check(name, "user"), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_pattern_languages_are_refused() {
        for pattern in [
            "^alice$",
            "al.*",
            "a.+",
            "(alice|bob)",
            "[a-z]",
            "a{2}",
            "alice|bob",
            "\\d+",
            "a\\.b",
            "!root",
            "%wheel",
            "@staff",
            "+admins",
            "ALL",
            " alice",
            "alice ",
            "a\nb",
            "alice,bob",
            "",
        ] {
            assert!(check(pattern, "user").is_err(), "{pattern:?}");
        }
    }
}
