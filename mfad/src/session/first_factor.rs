//! What stands before the second factor, from what sshd and the stack say. Pure.

use super::ssh_keys::{self, Key, method};

/// Whether a first factor stands before the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFactor {
    /// Nothing: the module may stand first in the stack.
    Unknown,
    /// The stack says that a password module stands before; in a `required` stack it may have failed.
    Password,
    /// sshd has verified a public key.
    PublicKey,
    /// sshd has verified something else (a password, a host key).
    OtherSsh,
}

impl FirstFactor {
    /// From sshd's lines and the stack's word.
    pub(super) fn of(methods: &str, after_password: bool) -> Self {
        let verified = || methods.lines().filter(|line| is_a_factor(line));
        if verified().any(|line| method(line) == "publickey") {
            Self::PublicKey
        } else if verified().next().is_some() {
            Self::OtherSsh
        } else if after_password {
            Self::Password
        } else {
            Self::Unknown
        }
    }

    /// Whether anything stands before the module.
    pub const fn is_there(self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// What the first factor was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// A password.
    pub password: bool,
    /// Public keys.
    pub keys: Vec<Key>,
}

impl Proven {
    /// From the same. `None` where neither says anything (in sshd's account phase, what was proven is not visible yet), or
    /// what sshd says cannot be read.
    pub(super) fn of(methods: &str, after_password: bool) -> Option<Self> {
        let by_sshd = methods.lines().any(is_a_factor);
        if !by_sshd && !after_password {
            return None;
        }
        Some(Self {
            password: after_password || methods.lines().any(|line| method(line) == "password"),
            keys: ssh_keys::read(methods)?,
        })
    }

    /// The words for it, as a policy has them. `None` with several keys, of which a record names one.
    pub fn words(&self) -> Option<Vec<String>> {
        let key = self.key();
        let is = |which: fn(&Key) -> bool| key.is_some_and(which);
        let words = [
            (self.password, "password"),
            (key.is_some(), "publickey"),
            (is(|key| key.certificate), "certificate"),
            (is(|key| key.sk), "sk-key"),
        ];
        let words = words.into_iter().filter(|(is, _)| *is);
        (self.keys.len() <= 1).then(|| words.map(|(_, word)| word.to_owned()).collect())
    }

    /// The first key, which a device is recognized by. Several keys in one login are an administrator's demand; any
    /// one of them is the person's.
    pub fn key(&self) -> Option<&Key> {
        self.keys.first()
    }
}

/// keyboard-interactive is the stack that the module stands in: what it proved, the stack must say.
fn is_a_factor(line: &str) -> bool {
    !line.trim().is_empty() && method(line) != "keyboard-interactive"
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn first_factors_come_from_sshd_or_the_stack() {
        let info = |text: &str| FirstFactor::of(text, false);
        assert_eq!(info("publickey ssh-ed25519 AAAA"), FirstFactor::PublicKey);
        assert_eq!(info("password\n"), FirstFactor::OtherSsh);
        assert_eq!(info("keyboard-interactive/pam"), FirstFactor::Unknown);
        assert_eq!(FirstFactor::of("", true), FirstFactor::Password);
        assert_eq!(info(""), FirstFactor::Unknown);
    }

    #[test]
    fn what_sshd_and_the_stack_say_is_what_was_proven() {
        let key = Proven::of(KEY, false).unwrap();
        assert!(!key.password && key.keys.len() == 1);
        let both = Proven::of(&format!("{KEY}\npassword\n"), false).unwrap();
        assert!(both.password && both.keys.len() == 1);
        let password = Proven::of("keyboard-interactive/pam\n", true).unwrap();
        assert!(password.password && password.keys.is_empty());
        let other = Proven::of("gssapi-with-mic\n", false).unwrap();
        assert!(!other.password && other.keys.is_empty());
    }

    #[test]
    fn silence_is_not_the_word_that_nothing_was_proven() {
        assert_eq!(Proven::of("", false), None);
        assert_eq!(Proven::of("keyboard-interactive/pam\n", false), None);
    }

    #[test]
    fn a_key_that_cannot_be_read_leaves_all_unknown_but_that_there_was_one() {
        let cut = &KEY[..KEY.len() - 8];
        assert_eq!(Proven::of(cut, true), None);
        assert_eq!(FirstFactor::of(cut, false), FirstFactor::PublicKey);
    }
}
