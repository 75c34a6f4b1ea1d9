//! Owns what the module finds out about a login from libpam. It must ask neither NSS nor a file nor the process's
//! environment, all of which can be the caller's; only that the caller names an agent of theirs is passed on (`agent`).

use std::ffi::CStr;

use mfad_protocol::{Context, Hook, PROTOCOL, limits};
use pam::{
    constants::{PAM_SILENT, PamFlag},
    items::{RHost, RUser, Service, Tty, User},
    module::PamHandle,
};

use crate::{agent, args::Args, ffi, transaction::Whose};

/// What marks a name that no account can have.
const UNFIT: char = '\u{FFFD}';
/// Most characters of an unfit name that are sent, for the audit log.
const UNFIT_SHOWN: usize = 64;

/// A login as libpam describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub service: String,
    pub user: String,
    pub ruser: Option<String>,
    pub rhost: Option<String>,
    pub tty: Option<String>,
    pub ssh_auth_info: Option<String>,
    pub ssh_connection: Option<String>,
    pub silent: bool,
}

impl Login {
    /// Asks libpam. With `ask_for_name`, a host that has set no user name has it prompted for.
    pub(crate) fn of(pamh: &mut PamHandle, flags: PamFlag, ask_for_name: bool) -> Self {
        if ask_for_name && matches!(pamh.get_item::<User<'_>>(), Ok(None)) {
            // The name is read as an item below: this call cannot return one that is not UTF-8.
            let _ = pamh.get_user(None);
        }
        let user = match pamh.get_item::<User<'_>>() {
            Ok(Some(user)) => user_name(user.to_bytes()),
            _ => user_name(b""),
        };
        let ssh_auth_info = ffi::pam_env(pamh, c"SSH_AUTH_INFO_0", limits::SSH_AUTH_INFO);
        let ssh_connection = ffi::pam_env(pamh, c"SSH_CONNECTION", limits::TEXT);
        Self {
            service: service(pamh),
            user,
            ruser: text(
                pamh.get_item::<RUser<'_>>()
                    .ok()
                    .flatten()
                    .map(|item| item.0),
            ),
            rhost: text(
                pamh.get_item::<RHost<'_>>()
                    .ok()
                    .flatten()
                    .map(|item| item.0),
            ),
            tty: text(pamh.get_item::<Tty<'_>>().ok().flatten().map(|item| item.0)),
            ssh_auth_info: ssh_auth_info.map(|bytes| lossy(&bytes)),
            ssh_connection: ssh_connection.map(|bytes| lossy(&bytes)),
            silent: flags & PAM_SILENT != 0,
        }
    }

    /// Whether a first factor is known to be proven: sshd says so, or the stack does.
    pub(crate) fn first_factor(&self, args: &Args) -> bool {
        let by_sshd = self
            .ssh_auth_info
            .as_ref()
            .is_some_and(|info| info.lines().any(is_a_factor));
        by_sshd || args.after_password
    }

    /// Whether the emergency door is meant for this login: root, at a physical terminal, after the password.
    pub(crate) fn breaks_glass(&self, args: &Args) -> bool {
        args.breakglass
            && args.after_password
            && !args.decoy
            && self.user == "root"
            && self.rhost.is_none()
            && self.tty.as_deref().is_some_and(is_console)
    }

    /// Whom and what it is for.
    pub(crate) fn whose(&self) -> Whose {
        Whose {
            user: self.user.clone(),
            service: self.service.clone(),
        }
    }

    /// What the daemon is told.
    pub(crate) fn context(self, hook: Hook, args: &Args, grant: Option<String>) -> Context {
        let guarded = args.guards(&self.service);
        Context {
            protocol: PROTOCOL,
            hook: Some(hook),
            service: self.service,
            user: self.user,
            real_uid: Some(nix::unistd::getuid().as_raw()),
            ruser: self.ruser,
            rhost: self.rhost,
            tty: self.tty,
            ssh_auth_info: self.ssh_auth_info,
            ssh_connection: self.ssh_connection,
            after_password: Some(args.after_password),
            decoy: Some(args.decoy),
            guarded: Some(guarded),
            defer: Some(args.defer),
            agent: Some(matches!(hook, Hook::Auth | Hook::Password) && agent::is_named()),
            grant,
            silent: Some(self.silent),
        }
    }
}

/// `PAM_SERVICE`.
pub(crate) fn service(pamh: &PamHandle) -> String {
    text(
        pamh.get_item::<Service<'_>>()
            .ok()
            .flatten()
            .map(|item| item.0),
    )
    .unwrap_or_default()
}

/// A name as it is sent. One that no account can have (empty, not UTF-8, with control characters, longer than any)
/// becomes one that contains U+FFFD, which no account has either: the daemon runs the dialogue of an unknown user, and
/// cutting can never turn a long name into somebody's.
fn user_name(raw: &[u8]) -> String {
    let name = String::from_utf8_lossy(raw);
    let fit = !name.is_empty()
        && raw.len() <= limits::USER
        && !name.chars().any(|c| c.is_control() || c == UNFIT);
    if fit {
        return name.into_owned();
    }
    let mut shown: String = name
        .chars()
        .take(UNFIT_SHOWN)
        .map(|c| if c.is_control() { UNFIT } else { c })
        .collect();
    if !shown.contains(UNFIT) {
        shown.push(UNFIT);
    }
    shown
}

/// An item, cut; an empty one is none at all (hosts set `PAM_RHOST` to "" for local logins).
fn text(item: Option<&CStr>) -> Option<String> {
    let bytes = item?.to_bytes();
    let text = lossy(&bytes[..bytes.len().min(limits::TEXT)]);
    (!text.is_empty()).then_some(text)
}

/// At most as many bytes as it was given: a replacement character is three bytes where there was one.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(bytes.len()));
    text
}

/// Terminals that one must stand in front of: virtual consoles, serial lines, a hypervisor's console. Never a pty.
fn is_console(tty: &str) -> bool {
    let name = tty.strip_prefix("/dev/").unwrap_or(tty);
    if name == "console" {
        return true;
    }
    let number = |prefix: &str| {
        let digits = name.strip_prefix(prefix)?;
        let plain = !digits.is_empty()
            && digits.len() <= 3
            && digits.bytes().all(|b| b.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    number("tty").is_some_and(|n| (1..=63).contains(&n))
        || number("ttyS").is_some()
        || number("hvc").is_some()
}

/// Whether a line of `SSH_AUTH_INFO_0` names something that was proven beside this stack: sshd's keyboard-interactive
/// method is this stack, or another run of it. The daemon reads it by the same rule.
fn is_a_factor(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with("keyboard-interactive")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            service: "login".into(),
            user: "root".into(),
            ruser: None,
            rhost: None,
            tty: Some("/dev/tty1".into()),
            ssh_auth_info: None,
            ssh_connection: None,
            silent: false,
        }
    }

    fn breakglass() -> Args {
        Args {
            breakglass: true,
            after_password: true,
            ..Args::default()
        }
    }

    #[test]
    fn a_name_that_somebody_can_have_is_sent_as_it_is() {
        for name in [
            "root",
            "zoë",
            "DOMAIN\\alice",
            "alice@example.org",
            "a.b-c_d$",
        ] {
            assert_eq!(user_name(name.as_bytes()), name);
        }
        let longest = "x".repeat(limits::USER);
        assert_eq!(user_name(longest.as_bytes()), longest);
    }

    #[test]
    fn a_name_that_nobody_can_have_becomes_nobody_s() {
        let long = "x".repeat(4096);
        let nul_free: &[&[u8]] = &[
            b"",
            b"\xFF\xFE",
            b"root\n",
            b"ro\x1b[2Jot",
            "root\u{85}".as_bytes(),
            "ro\u{FFFD}ot".as_bytes(),
            long.as_bytes(),
        ];
        for raw in nul_free {
            let name = user_name(raw);
            assert!(name.contains(UNFIT), "{raw:?} became {name:?}");
            assert!(name.len() <= limits::USER);
            assert!(!name.chars().any(char::is_control));
        }
    }

    #[test]
    fn items_are_cut_and_an_empty_one_is_none() {
        assert_eq!(text(None), None);
        assert_eq!(text(Some(c"")), None);
        assert_eq!(text(Some(c"tty1")).as_deref(), Some("tty1"));
        let long = std::ffi::CString::new(vec![0xFF; 5000]).unwrap();
        assert!(text(Some(&long)).unwrap().len() <= limits::TEXT);
    }

    #[test]
    fn a_console_is_one_that_somebody_stands_in_front_of() {
        for tty in [
            "tty1",
            "/dev/tty63",
            "console",
            "/dev/console",
            "ttyS0",
            "/dev/ttyS12",
            "hvc0",
        ] {
            assert!(is_console(tty), "{tty}");
        }
        for tty in [
            "",
            "tty",
            "tty0",
            "tty64",
            "tty01",
            "tty1x",
            "ttyp1",
            "ttyUSB0",
            "ttySx",
            "ttyS",
            "pts/1",
            "/dev/pts/1",
            "ssh",
            ":0",
            "/dev//tty1",
            "../tty1",
            "/tmp/tty1",
            "consoles",
            "hvc",
            "hvc1234",
            "tty-1",
            "tty 1",
        ] {
            assert!(!is_console(tty), "{tty}");
        }
    }

    #[test]
    fn the_emergency_door_has_four_locks() {
        let args = breakglass();
        assert!(login().breaks_glass(&args));
        let mut user = login();
        user.user = "Root".into();
        let mut remote = login();
        remote.rhost = Some("203.0.113.9".into());
        let mut pty = login();
        pty.tty = Some("pts/0".into());
        let mut nowhere = login();
        nowhere.tty = None;
        for other in [user, remote, pty, nowhere] {
            assert!(!other.breaks_glass(&args), "{other:?}");
        }
        let without_password = Args {
            after_password: false,
            ..breakglass()
        };
        let not_asked_for = Args {
            breakglass: false,
            ..breakglass()
        };
        let decoy = Args {
            decoy: true,
            ..breakglass()
        };
        for args in [without_password, not_asked_for, decoy] {
            assert!(!login().breaks_glass(&args));
        }
    }

    #[test]
    fn a_first_factor_is_what_sshd_or_the_stack_says() {
        let mut ssh = login();
        assert!(!ssh.first_factor(&Args::default()));
        ssh.ssh_auth_info = Some(" \n".into());
        assert!(!ssh.first_factor(&Args::default()));
        ssh.ssh_auth_info = Some("keyboard-interactive/pam\n".into());
        assert!(
            !ssh.first_factor(&Args::default()),
            "that is this stack itself"
        );
        ssh.ssh_auth_info = Some("publickey ssh-ed25519 AAAA".into());
        assert!(ssh.first_factor(&Args::default()));
        assert!(login().first_factor(&breakglass()));
    }
}
