//! What is known of PAM modules: which results each can have, and what a result says about the login. Of a module that
//! is not known here, anything is possible.

use mfad_protocol::limits;

use super::control::Code;
use super::stack::{Entry, Phase};

/// What a module's answer says, beyond its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Meaning {
    /// Nothing.
    Plain,
    /// The password, or another first factor, was right.
    FirstRight,
    /// It was wrong.
    FirstWrong,
    /// The caller is root, who may become anybody.
    RootCaller,
    /// A right code.
    Granted,
    /// The policy asks for none.
    NotRequired,
    /// The second factor refuses.
    Refused,
    /// It let the login through because the daemon is out of reach.
    Open,
}

/// What our module's arguments come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) after_password: bool,
    pub(super) open_when_unreachable: bool,
    pub(super) breakglass: bool,
    pub(super) decoy: bool,
    pub(super) defer: bool,
    pub(super) guard: Vec<String>,
}

/// Longest list of `guard=`.
const MOST_GUARDED: usize = 32;

impl Arguments {
    /// Reads them as the module does.
    ///
    /// # Errors
    /// The argument that the module refuses; it then refuses every login.
    pub(super) fn read(words: &[String]) -> Result<Self, String> {
        let mut arguments = Self {
            after_password: false,
            open_when_unreachable: false,
            breakglass: false,
            decoy: false,
            defer: false,
            guard: vec!["sshd".to_owned()],
        };
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word.as_str(), None),
            };
            if seen.contains(&key) {
                return Err(format!(
                    "“{}” is given twice",
                    mfad_protocol::printable(key)
                ));
            }
            seen.push(key);
            if !arguments.take(key, value) {
                return Err(format!(
                    "“{}” is not an argument of it",
                    mfad_protocol::printable(word)
                ));
            }
        }
        if arguments.decoy && (arguments.open_when_unreachable || arguments.breakglass) {
            return Err("decoy contradicts unreachable=ignore and breakglass=".to_owned());
        }
        if arguments.breakglass && !arguments.after_password {
            return Err("breakglass= needs after=password".to_owned());
        }
        Ok(arguments)
    }

    fn take(&mut self, key: &str, value: Option<&str>) -> bool {
        match (key, value) {
            ("after", Some("password")) => self.after_password = true,
            ("unreachable", Some("deny")) | ("debug", None) => {}
            ("unreachable", Some("ignore")) => self.open_when_unreachable = true,
            ("breakglass", Some("console")) => self.breakglass = true,
            ("decoy", None) => self.decoy = true,
            ("defer", Some("session")) => self.defer = true,
            ("timeout", Some(value)) => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                return digits
                    && value
                        .parse::<u64>()
                        .is_ok_and(|seconds| limits::TIMEOUT.contains(&seconds));
            }
            ("guard", Some("none")) => self.guard.clear(),
            ("guard", Some(value)) => {
                self.guard = value.split(',').map(str::to_owned).collect();
                return guarded(&self.guard);
            }
            _ => return false,
        }
        true
    }
}

fn guarded(names: &[String]) -> bool {
    let valid = |name: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte);
        (1..=limits::TEXT).contains(&name.len()) && name.bytes().all(plain)
    };
    let distinct = (0..names.len()).all(|at| !names[..at].contains(&names[at]));
    names.len() <= MOST_GUARDED && distinct && names.iter().all(valid)
}

/// Whether a line runs our module.
pub(super) fn is_ours(entry: &Entry) -> bool {
    entry.name() == "pam_mfa.so"
}

/// Programs that run with the caller's real uid, so that `pam_rootok` asks who called.
pub(super) const SETUID: [&str; 11] = [
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    "runuser",
    "runuser-l",
    "chsh",
    "chfn",
    "passwd",
    "newgrp",
    "pkexec",
];

/// Modules that prove a first factor by themselves.
const FIRST: [&str; 13] = [
    "pam_unix.so",
    "pam_sss.so",
    "pam_ldap.so",
    "pam_krb5.so",
    "pam_winbind.so",
    "pam_userdb.so",
    "pam_systemd_home.so",
    "pam_fprintd.so",
    "pam_radius_auth.so",
    "pam_tacplus.so",
    "pam_pwdfile.so",
    "pam_himmelblau.so",
    "pam_authd.so",
];

/// Modules that look at circumstances, or do something beside: their success proves nobody.
const CIRCUMSTANCES: [&str; 24] = [
    "pam_permit.so",
    "pam_succeed_if.so",
    "pam_usertype.so",
    "pam_localuser.so",
    "pam_shells.so",
    "pam_securetty.so",
    "pam_cap.so",
    "pam_nologin.so",
    "pam_wheel.so",
    "pam_listfile.so",
    "pam_access.so",
    "pam_time.so",
    "pam_rootok.so",
    "pam_faillock.so",
    "pam_timestamp.so",
    "pam_sepermit.so",
    "pam_env.so",
    "pam_group.so",
    "pam_faildelay.so",
    "pam_echo.so",
    "pam_warn.so",
    "pam_tally2.so",
    "pam_mail.so",
    "pam_issue.so",
];

/// Whether a module that is not known may well be a first factor, for all that can be told.
pub(super) fn is_strange(entry: &Entry) -> bool {
    let name = entry.name();
    !is_ours(entry) && !FIRST.contains(&name) && !CIRCUMSTANCES.contains(&name)
}

/// Whether it is known to prove a first factor.
pub(super) fn is_first_factor(entry: &Entry) -> bool {
    FIRST.contains(&entry.name())
}

/// For which host a stack is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// It keeps the caller's real uid.
    pub(super) setuid: bool,
    /// A key (or the like) is proven before the stack runs, and the module is told so.
    pub(super) key_first: bool,
}

/// Every answer that a line's module can give.
pub(super) fn answers(
    entry: &Entry,
    phase: Phase,
    there: bool,
    around: Surroundings,
) -> Vec<(Code, Meaning)> {
    let plain = |codes: Vec<Code>| {
        codes
            .into_iter()
            .map(|code| (code, Meaning::Plain))
            .collect::<Vec<_>>()
    };
    if is_ours(entry) {
        return ours(entry, phase, there, around);
    }
    if !there {
        return plain(vec![Code::MODULE_UNKNOWN]);
    }
    let refusals = || Code::refusals().collect::<Vec<_>>();
    let with = |mut codes: Vec<Code>, more: &[Code]| {
        codes.extend_from_slice(more);
        codes
    };
    if phase == Phase::Auth && is_first_factor(entry) {
        let mut answers = vec![(Code::SUCCESS, Meaning::FirstRight)];
        answers.extend(Code::refusals().map(|code| (code, Meaning::FirstWrong)));
        if entry.name() != "pam_unix.so" {
            answers.push((Code::IGNORE, Meaning::Plain));
        }
        return answers;
    }
    match (entry.name(), phase) {
        ("pam_deny.so", _) => plain(refusals()),
        (name, _) if around.setuid && (name == "pam_rootok.so" || asks_for_root(entry)) => {
            let mut answers = plain(refusals());
            answers.push((Code::SUCCESS, Meaning::RootCaller));
            answers
        }
        ("pam_permit.so" | "pam_rootok.so", _) => plain(vec![Code::SUCCESS]),
        (
            "pam_env.so" | "pam_group.so" | "pam_faildelay.so" | "pam_warn.so" | "pam_echo.so",
            Phase::Auth,
        ) => plain(with(refusals(), &[Code::IGNORE])),
        ("pam_nologin.so", _) if !entry.arguments.iter().any(|word| word == "successok") => {
            plain(with(refusals(), &[Code::IGNORE]))
        }
        ("pam_faillock.so", Phase::Auth)
            if entry.arguments.iter().any(|word| word == "authfail") =>
        {
            plain(with(refusals(), &[Code::IGNORE]))
        }
        ("pam_unix.so", Phase::Password) => {
            let mut answers = vec![(Code::SUCCESS, Meaning::FirstRight)];
            answers.extend(Code::refusals().map(|code| (code, Meaning::FirstWrong)));
            answers
        }
        _ => plain(Code::all().collect()),
    }
}

/// `pam_env.so user_readenv=1`: variables out of a file in the user's home, in place of what others have set.
pub(super) fn reads_own_environment(entry: &Entry) -> bool {
    let reads = |word: &String| {
        let value = word.strip_prefix("user_readenv=");
        value.is_some_and(|value| value != "0")
    };
    entry.name() == "pam_env.so" && entry.arguments.iter().any(reads)
}

/// Fedora's way to let root's `su` through: `pam_succeed_if.so uid = 0 use_uid`.
fn asks_for_root(entry: &Entry) -> bool {
    let words = &entry.arguments;
    let caller = words.iter().any(|word| word == "use_uid");
    let root = words.windows(3).any(|three| {
        three[0] == "uid" && matches!(three[1].as_str(), "=" | "eq") && three[2] == "0"
    });
    entry.name() == "pam_succeed_if.so" && caller && root
}

fn ours(entry: &Entry, phase: Phase, there: bool, around: Surroundings) -> Vec<(Code, Meaning)> {
    if !there {
        return vec![(Code::MODULE_UNKNOWN, Meaning::Refused)];
    }
    let arguments = match Arguments::read(&entry.arguments) {
        Ok(arguments)
            if (!arguments.decoy || phase == Phase::Auth)
                && (!arguments.defer || phase == Phase::Account) =>
        {
            arguments
        }
        _ => return vec![(Code::SERVICE_ERR, Meaning::Refused)],
    };
    let (denied, unavailable) = match phase {
        Phase::Auth => (Code::AUTH_ERR, Code::AUTHINFO_UNAVAIL),
        Phase::Account | Phase::Password => (Code::PERM_DENIED, Code::AUTHINFO_UNAVAIL),
        Phase::Session => (Code::PERM_DENIED, Code::SESSION_ERR),
    };
    let mut answers = vec![(denied, Meaning::Refused), (unavailable, Meaning::Refused)];
    if arguments.decoy {
        return answers;
    }
    answers.push((Code::SUCCESS, Meaning::Granted));
    // What the module answers where nothing is asked: success only if it knows of a first factor.
    let nothing = match phase {
        Phase::Auth if !arguments.after_password && !around.key_first => Code::IGNORE,
        Phase::Password => Code::IGNORE,
        Phase::Auth | Phase::Account | Phase::Session => Code::SUCCESS,
    };
    answers.push((nothing, Meaning::NotRequired));
    if arguments.open_when_unreachable {
        answers.push((nothing, Meaning::Open));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What our line answers in auth where the policy asks for nothing.
    fn where_nothing_is_asked(arguments: &str, key_first: bool) -> Vec<Code> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/pam.d")).unwrap();
        std::fs::write(
            root.path().join("etc/pam.d/x"),
            format!("auth required pam_mfa.so {arguments}\n"),
        )
        .unwrap();
        let service =
            crate::pam::stack::Service::read(&crate::pam::tree::Tree::new(root.path()), "x");
        let around = Surroundings {
            setuid: false,
            key_first,
        };
        answers(&service.stack(Phase::Auth)[0], Phase::Auth, true, around)
            .into_iter()
            .filter(|(_, meaning)| *meaning == Meaning::NotRequired)
            .map(|(code, _)| code)
            .collect()
    }

    #[test]
    fn where_nothing_is_asked_the_module_agrees_only_after_a_first_factor() {
        assert_eq!(where_nothing_is_asked("", false), [Code::IGNORE]);
        assert_eq!(where_nothing_is_asked("", true), [Code::SUCCESS]);
        assert_eq!(
            where_nothing_is_asked("after=password", false),
            [Code::SUCCESS]
        );
        assert!(where_nothing_is_asked("decoy", false).is_empty());
    }

    fn read(text: &str) -> Result<Arguments, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::read(&words)
    }

    #[test]
    fn arguments_are_read_as_the_module_reads_them() {
        for fine in [
            "",
            "after=password breakglass=console debug timeout=60",
            "guard=sshd,vpn decoy",
            "guard=none unreachable=deny",
        ] {
            assert!(read(fine).is_ok(), "{fine}");
        }
        for refused in [
            "nullok",
            "after=key",
            "debug debug",
            "decoy unreachable=ignore",
            "breakglass=console",
            "timeout=4",
            "guard=",
            "guard=a,,b",
            "unreachable",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
