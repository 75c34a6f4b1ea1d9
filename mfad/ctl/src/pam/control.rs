//! What a line of a stack does with each result of its module: the control field. It reads words and runs nothing.

use std::fmt;

/// Results that a module can have, by their numbers in `<security/_pam_types.h>`.
pub const NAMES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// A module's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Code(u8);

impl Code {
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const SERVICE_ERR: Self = Self(3);
    pub(super) const PERM_DENIED: Self = Self(6);
    pub(super) const AUTH_ERR: Self = Self(7);
    pub(super) const AUTHINFO_UNAVAIL: Self = Self(9);
    pub(super) const NEW_AUTHTOK_REQD: Self = Self(12);
    pub(super) const SESSION_ERR: Self = Self(14);
    pub(super) const IGNORE: Self = Self(25);
    pub(super) const MODULE_UNKNOWN: Self = Self(28);
    const INCOMPLETE: Self = Self(31);

    /// All that end a module's work. `incomplete` does not: it asks for another call.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..32).map(Self).filter(|code| *code != Self::INCOMPLETE)
    }

    /// Those that refuse.
    pub(super) fn refusals() -> impl Iterator<Item = Self> {
        Self::all()
            .filter(|code| !matches!(*code, Self::SUCCESS | Self::IGNORE | Self::NEW_AUTHTOK_REQD))
    }

    /// Its word in a control field.
    pub(super) fn word(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("?")
    }

    /// The result with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::all().find(|code| code.0 == number)
    }

    /// Its number.
    pub(super) const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What to do at a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Ignore,
    Ok,
    Done,
    Bad,
    Die,
    Reset,
    /// Skip so many lines. A number too large for C's `int` is kept as the largest: both end outside of the stack.
    Jump(u32),
}

/// Words for actions, in the order in which libpam tries them as prefixes.
const ACTIONS: [(&str, Action); 6] = [
    ("ignore", Action::Ignore),
    ("ok", Action::Ok),
    ("done", Action::Done),
    ("bad", Action::Bad),
    ("die", Action::Die),
    ("reset", Action::Reset),
];

/// An action for each result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control([Action; 32]);

impl Control {
    /// What happens at `code`.
    pub(super) fn at(&self, code: Code) -> Action {
        self.0
            .get(usize::from(code.0))
            .copied()
            .unwrap_or(Action::Bad)
    }

    /// The same at every result.
    pub(super) const fn always(action: Action) -> Self {
        Self([action; 32])
    }

    /// One of the four old words, in any case.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        let (good, ignore, other) = match word.to_ascii_lowercase().as_str() {
            "required" => (Action::Ok, Action::Ignore, Action::Bad),
            "requisite" => (Action::Ok, Action::Ignore, Action::Die),
            "optional" => (Action::Ok, Action::Ignore, Action::Ignore),
            "sufficient" => (Action::Done, Action::Ignore, Action::Ignore),
            _ => return None,
        };
        let mut control = Self::always(other);
        control.0[usize::from(Code::SUCCESS.0)] = good;
        control.0[usize::from(Code::NEW_AUTHTOK_REQD.0)] = good;
        control.0[usize::from(Code::IGNORE.0)] = ignore;
        Some(control)
    }

    /// `result=action …`. What it does not say is bad; and if a part cannot be read, everything is.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn from_pairs(text: &str) -> Result<Self, String> {
        let mut found: [Option<Action>; 32] = [None; 32];
        let mut rest = skip_blanks(text);
        while !rest.is_empty() {
            // As libpam: the first name that is a prefix, and no blank needed between two pairs.
            let name = NAMES.iter().position(|name| rest.starts_with(name));
            let (slot, length) = match name {
                Some(index) => (Some(index), NAMES[index].len()),
                None if rest.starts_with("default") => (None, "default".len()),
                None => return Err(rest.to_owned()),
            };
            let after = skip_blanks(&rest[length..]);
            let value = after.strip_prefix('=').ok_or_else(|| rest.to_owned())?;
            let (action, left) = action(skip_blanks(value)).ok_or_else(|| rest.to_owned())?;
            match slot {
                Some(index) => found[index] = Some(action),
                None => found
                    .iter_mut()
                    .filter(|one| one.is_none())
                    .for_each(|one| *one = Some(action)),
            }
            rest = skip_blanks(left);
        }
        Ok(Self(found.map(|action| action.unwrap_or(Action::Bad))))
    }
}

/// C's `isspace` in the C locale.
fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
}

fn action(text: &str) -> Option<(Action, &str)> {
    for (word, action) in ACTIONS {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((action, rest));
        }
    }
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    let count = text[..end].parse::<u32>().unwrap_or(u32::MAX);
    (count > 0).then_some((Action::Jump(count), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ignore_case_and_results_do_not() {
        assert_eq!(
            Control::from_word("REQUIRED"),
            Control::from_word("required")
        );
        assert!(Control::from_word("requird").is_none());
        assert!(Control::from_pairs("SUCCESS=ok").is_err());
        assert!(Control::from_pairs("success=OK").is_err());
    }

    #[test]
    fn a_default_fills_what_was_not_said_before_it() {
        let control = Control::from_pairs(" success = 2 default=ignore ignore=die").unwrap();
        assert_eq!(control.at(Code::SUCCESS), Action::Jump(2));
        assert_eq!(control.at(Code::AUTH_ERR), Action::Ignore);
        assert_eq!(control.at(Code::IGNORE), Action::Die);
        let bare = Control::from_pairs("success=ok").unwrap();
        assert_eq!(bare.at(Code::IGNORE), Action::Bad);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, rest) in [
            ("success=okay", "ay"),
            ("success=0", "success=0"),
            ("default", "default"),
            ("success=1 nonsense=ok", "nonsense=ok"),
        ] {
            assert_eq!(Control::from_pairs(text).unwrap_err(), rest);
        }
    }
}
