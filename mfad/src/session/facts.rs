//! What is known about a login, derived from the module's context and the caller's credentials alone. Pure.

use std::net::IpAddr;

use mfad_protocol::{Context, Hook, limits, printable};
use policy::Known;

use super::{
    Caller,
    first_factor::{FirstFactor, Proven},
    grant::Grant,
    ssh_keys::Key,
    whereabouts::Whereabouts,
};
use crate::{
    audit::{Event, Grounds, Record},
    throttle::Place,
};

/// The service name of `mfactl`'s own proofs: what a user must pass before changing their factors.
pub const SELF_SERVICE: &str = "mfactl";

/// Where virtual consoles are.
const FIRST_SEAT: &str = "seat0";

/// A login as the daemon sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which entry point asks.
    pub hook: Hook,
    /// PAM service, lower case.
    pub service: String,
    /// Who wants in; `None` where the name cannot be anybody's (empty, too long, control characters, `:` or `/`).
    pub user: Option<String>,
    /// su: the account that is switched to, where `user` is who switches.
    pub target: Option<String>,
    /// Where from, for the throttle.
    pub place: Place,
    /// The far end's address, for the policy.
    pub address: Option<IpAddr>,
    /// It is certain that there is no far end.
    pub local: bool,
    /// The person sits at this machine, and may be asked for a key that is plugged in here.
    pub sits_here: bool,
    /// The seat, as logind names it. `Is(None)`: there is a far end, or a session without a seat.
    pub seat: Known<Option<String>>,
    /// The login session that the host program runs in.
    pub whereabouts: Whereabouts,
    /// The terminal, without `/dev/`.
    pub tty: Option<String>,
    /// Whether a first factor stands before the module.
    pub first_factor: FirstFactor,
    /// What the first factor was, where that is known.
    pub proven: Option<Proven>,
    /// Real uid of the host process.
    pub real_uid: Option<u32>,
    /// Evaluate nothing, charge nothing, refuse.
    pub decoy: bool,
    /// A login without a grant must be judged here.
    pub guarded: bool,
    /// The session phase will ask again, and can refuse.
    pub defer: bool,
    /// The host's caller names an SSH agent.
    pub agent: bool,
    /// The host shows prompts, and no line besides (`PAM_SILENT`; an interactive sudo sets it).
    pub silent: bool,
    /// The grant presented.
    pub grant: Option<String>,
    /// What the decision rested on, for the audit log.
    pub grounds: Grounds,
    shown: Shown,
}

/// Foreign text made fit for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    user: String,
    rhost: Option<String>,
    tty: Option<String>,
    by: u32,
}

/// Why a context cannot be served at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unservable {
    /// The module speaks a protocol that this daemon does not.
    Protocol(u32),
    /// No hook, no service, or a text over its bound.
    Malformed,
}

impl Facts {
    /// Derives the facts.
    pub fn derive(context: Context, caller: &Caller) -> Result<Self, Unservable> {
        let context = if caller.is_root() {
            context
        } else {
            believable(context)
        };
        if !mfad_protocol::serves(context.protocol) {
            return Err(Unservable::Protocol(context.protocol));
        }
        let hook = context.hook.ok_or(Unservable::Malformed)?;
        let bounded = |text: &Option<String>, limit| {
            text.as_ref()
                .is_none_or(|text: &String| text.len() <= limit)
        };
        let within = bounded(&context.rhost, limits::TEXT)
            && bounded(&context.tty, limits::TEXT)
            && bounded(&context.ruser, limits::TEXT)
            && bounded(&context.ssh_connection, limits::TEXT)
            && bounded(&context.grant, limits::TEXT)
            && bounded(&context.ssh_auth_info, limits::SSH_AUTH_INFO);
        if !within || context.service.is_empty() || context.service.len() > limits::TEXT {
            return Err(Unservable::Malformed);
        }
        let real_uid = if caller.is_root() {
            context.real_uid
        } else {
            Some(caller.uid)
        };
        // sshd is root's through and through. What a program that somebody started (sudo, su) has in these variables was put
        // there by another module, out of a file that may be that person's own (pam_env).
        let by_sshd = real_uid.is_none_or(|uid| uid == 0);
        let ssh_auth_info = context.ssh_auth_info.filter(|_| by_sshd);
        let ssh_connection = context.ssh_connection.filter(|_| by_sshd);
        let rhost = context.rhost.filter(|rhost| !rhost.is_empty());
        let address = far_end(rhost.as_deref(), ssh_connection.as_deref());
        let far = rhost.is_some() || address.is_some();
        let console = context.tty.as_deref().and_then(console);
        let after_password = context.after_password == Some(true);
        let methods = ssh_auth_info.as_deref().unwrap_or_default();
        Ok(Self {
            hook,
            service: context.service.to_ascii_lowercase(),
            place: if far {
                Place::Remote(address.map(network_of))
            } else {
                Place::Local
            },
            address,
            local: !far && console.is_some(),
            sits_here: false,
            seat: match console {
                _ if far => Known::Is(None),
                Some(Console::Virtual) => Known::Is(Some(FIRST_SEAT.to_owned())),
                Some(Console::Other) | None => Known::Unknown,
            },
            whereabouts: Whereabouts::Unknown,
            tty: context.tty.as_deref().and_then(terminal).map(str::to_owned),
            first_factor: FirstFactor::of(methods, after_password),
            proven: Proven::of(methods, after_password),
            real_uid,
            decoy: context.decoy == Some(true),
            guarded: context.guarded == Some(true),
            defer: context.defer == Some(true),
            agent: context.agent == Some(true),
            silent: context.silent == Some(true),
            grant: context.grant,
            target: None,
            grounds: Grounds::default(),
            shown: Shown {
                user: printable(&context.user),
                rhost: rhost.map(|text| printable(&text)),
                tty: context
                    .tty
                    .filter(|tty| !tty.is_empty())
                    .map(|text| printable(&text)),
                by: caller.uid,
            },
            user: Some(context.user).filter(|user| is_name(user)),
        })
    }

    /// Settles the place once the subject's uid is known: a host program that runs for its own user (sudo, a screen
    /// locker) has a lane of its own, and one that runs for somebody else (su) counts as a stranger, so that neither
    /// malware in a session nor another local user can keep the owner out at the door.
    pub fn settle_place(&mut self, subject_uid: Option<u32>) {
        if self.place != Place::Local {
            return;
        }
        self.place = match self.real_uid {
            None | Some(0) => Place::Local,
            Some(uid) if Some(uid) == subject_uid => Place::SelfService,
            Some(_) => Place::Remote(None),
        };
    }

    /// The key that was proven before.
    pub fn key(&self) -> Option<&Key> {
        self.proven.as_ref()?.key()
    }

    /// Whether sshd has yet to show which key was proven: it does so in the session phase.
    pub fn awaits_its_key(&self) -> bool {
        self.hook == Hook::Account && self.guarded && self.proven.is_none()
    }

    /// What the far end is known by: an IPv4 address, or the /64 that an IPv6 host can roam in.
    pub fn source(&self) -> Option<IpAddr> {
        self.address.map(network_of)
    }

    /// Makes who switches the user, and whom they asked for the target.
    pub fn switch(&mut self, who: Option<String>) {
        self.target = self.user.take();
        self.shown.user = who.as_deref().map(printable).unwrap_or_default();
        self.user = who;
        self.grounds.target.clone_from(&self.target);
    }

    /// Is of the same login as this grant, and about the same people.
    pub fn take_up(&mut self, grant: &Grant) {
        if grant.switch.is_some() {
            self.switch(Some(grant.user.clone()));
        }
    }

    /// Whether the session of the host program says where the person sits. Where root's program names a far end itself
    /// (sshd, which may run in the session of whoever started it), its word counts.
    pub fn sits_in_a_session(&self) -> bool {
        let runs_for_somebody = self.real_uid.is_some_and(|uid| uid != 0);
        runs_for_somebody || !matches!(self.place, Place::Remote(_))
    }

    /// Takes in what logind says: where the person sits, for programs that a person in a session started (sudo, su,
    /// polkit). What such a program says of its terminal is its caller's word; what logind does not know counts as far.
    pub fn settle_whereabouts(&mut self, whereabouts: Whereabouts) {
        let runs_for_somebody = self.real_uid.is_some_and(|uid| uid != 0);
        if self.sits_in_a_session() {
            match &whereabouts {
                Whereabouts::In(session) if session.remote => {
                    self.address = session
                        .host
                        .as_deref()
                        .and_then(|host| far_end(Some(host), None));
                    self.local = false;
                    self.seat = Known::Is(None);
                    self.shown.rhost = session.host.as_deref().map(printable);
                }
                Whereabouts::In(session) => {
                    self.address = None;
                    self.local = session.seat.is_some();
                    self.seat = Known::Is(session.seat.clone());
                }
                Whereabouts::Unknown if runs_for_somebody => {
                    self.address = None;
                    self.local = false;
                    self.seat = Known::Unknown;
                }
                Whereabouts::Unknown => {}
            }
        }
        self.sits_here = self.local;
        self.whereabouts = whereabouts;
    }

    /// Takes in what logind says of a process that is named by somebody who is not root. They name which of their own
    /// sessions they like, so that it counts for no more than which of their own keys can be asked.
    pub fn settle_own_seat(&mut self, uid: u32, whereabouts: &Whereabouts) {
        self.sits_here = whereabouts.is_at_a_seat(uid);
    }

    /// Whether a replay hint may be given: it tells that the owner logged in within the last half minute, which only
    /// somebody who has proven a key, or the owner's own session, may learn.
    pub fn may_hint(&self, subject_uid: u32) -> bool {
        self.first_factor == FirstFactor::PublicKey
            || (subject_uid != 0
                && self.real_uid == Some(subject_uid)
                && self.place == Place::SelfService)
    }

    /// Whether the person's own agent can be asked: the host program runs for them, so that what it can reach is theirs.
    pub fn may_ask_agent(&self, subject_uid: u32) -> bool {
        self.agent
            && subject_uid != 0
            && self.real_uid == Some(subject_uid)
            && self.place == Place::SelfService
    }

    /// An audit record about this login.
    pub fn record(&self, time: i64, event: Event, outcome: &str) -> Record {
        Record {
            user: Some(self.shown.user.clone()),
            service: Some(printable(&self.service)),
            rhost: self.shown.rhost.clone(),
            tty: self.shown.tty.clone(),
            by: Some(self.shown.by),
            grounds: self.grounds.clone(),
            ..Record::new(time, event, outcome)
        }
    }
}

/// What an unprivileged caller may state: whom it asks for, at which service and phase. Where it is, and what was proven
/// before, would be its own word.
fn believable(context: Context) -> Context {
    Context {
        protocol: context.protocol,
        hook: context.hook,
        service: context.service,
        user: context.user,
        // Its own agent, which the kernel says it is.
        agent: context.agent,
        grant: context.grant,
        silent: context.silent,
        ..Context::default()
    }
}

/// Whether `name` can be a login name at all. The rest is the name service's business.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::USER
        && !name
            .chars()
            .any(|c| c == ':' || c == '/' || c == '\u{FFFD}')
        && printable(name) == name
}

/// The address of the far end: sshd's own variable first (`PAM_RHOST` may be a name), mapped IPv4 made IPv4.
fn far_end(rhost: Option<&str>, ssh_connection: Option<&str>) -> Option<IpAddr> {
    let from_sshd = ssh_connection.and_then(|connection| connection.split(' ').next());
    let unscoped = |text: &str| {
        text.split('%')
            .next()
            .unwrap_or_default()
            .parse::<IpAddr>()
            .ok()
    };
    from_sshd
        .and_then(unscoped)
        .or_else(|| rhost.and_then(unscoped))
        .map(|address| address.to_canonical())
}

/// What a source is known by: an IPv4 address, or the /64 that an IPv6 host can roam in.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// A terminal as the application names it, without `/dev/`. sshd, which has none yet, says `ssh`.
fn terminal(tty: &str) -> Option<&str> {
    let name = tty.strip_prefix("/dev/").unwrap_or(tty);
    (!name.is_empty() && printable(name) == name).then_some(name)
}

/// A terminal of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Console {
    /// One that logind puts on its first seat, always.
    Virtual,
    /// `console`, or a serial or hypervisor console.
    Other,
}

/// A console; never a pseudo-terminal.
fn console(tty: &str) -> Option<Console> {
    let name = tty.strip_prefix("/dev/").unwrap_or(tty);
    let numbered = |prefix| {
        name.strip_prefix(prefix).is_some_and(|rest: &str| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    if numbered("tty") {
        Some(Console::Virtual)
    } else {
        (name == "console" || numbered("ttyS") || numbered("hvc")).then_some(Console::Other)
    }
}

#[cfg(test)]
mod tests;
