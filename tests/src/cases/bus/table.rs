//! Who may call what, and what comes of it: one row a method, or more where it matters whom the call is about. Only the
//! table and how to read an answer into it; `bus` makes the calls.

use serde_json::Value;

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It was done, or what was asked for was told.
    Done,
    /// The daemon asks for a code: the caller may verify that person.
    Asked,
    /// The dialogue's answer is "granted".
    Granted,
    /// The dialogue's answer is "denied", which tells nothing more.
    Denied,
    /// The policy asks for no second factor here.
    NotRequired,
    /// Refused: not this caller's to do.
    Refused,
    /// Refused until the caller has proven a factor that they have.
    NeedsGrant,
    /// There is no such thing of this caller's.
    NotFound,
    /// The socket serves logins only.
    NotServed,
    /// The kernel, or the daemon before it reads a byte, turns the caller away.
    Barred,
}

impl Came {
    /// `None` for what has no place in the table.
    pub(super) fn of(came: &Value) -> Option<Self> {
        if let Some(reply) = came["reply"].as_array() {
            let state = reply.last().and_then(|step| step["state"].as_str());
            return match state {
                None => Some(Self::Done),
                Some("continue") => Some(Self::Asked),
                Some("granted") => Some(Self::Granted),
                Some("denied") => Some(Self::Denied),
                Some("not-required") => Some(Self::NotRequired),
                Some(_) => None,
            };
        }
        if came["gone"].is_string() {
            return Some(Self::Barred);
        }
        match came["error"].as_str()? {
            "org.mfad.Mfad1.Error.Denied" => Some(Self::Refused),
            "org.mfad.Mfad1.Error.NeedsGrant" => Some(Self::NeedsGrant),
            "org.mfad.Mfad1.Error.NotFound" => Some(Self::NotFound),
            "org.freedesktop.DBus.Error.UnknownInterface" => Some(Self::NotServed),
            _ => None,
        }
    }
}

/// A method, what the call is about, and what it comes to.
#[derive(Debug)]
pub(super) struct Row {
    /// `Interface.Method`.
    pub(super) method: &'static str,
    /// What it is called with, in words.
    pub(super) about: &'static str,
    /// As JSON, with words in capitals for what the stage knows.
    pub(super) arguments: &'static str,
    /// The person is the caller (and not alice).
    pub(super) own: bool,
    /// On the system bus, by nobody, alice, bob, mfad and root.
    bus: [Came; 5],
    /// On `user.sock`, by the same.
    user: [Came; 5],
    /// On `pam.sock`, by root; the others cannot connect.
    pam: Came,
}

impl Row {
    /// What is expected on a way (bus, `pam.sock`, `user.sock`) of a caller.
    pub(super) fn expected(&self, way: usize, caller: usize) -> Came {
        match (way, caller) {
            (0, _) => self.bus[caller],
            (1, 4) => self.pam,
            (1, _) => Came::Barred,
            _ => self.user[caller],
        }
    }
}

use Came::{Asked, Denied, Done, Granted, NeedsGrant, NotFound, NotRequired, NotServed, Refused};

/// A step of a login, alike on each way in.
const fn login(
    method: &'static str,
    about: &'static str,
    arguments: &'static str,
    own: bool,
    cells: [Came; 5],
) -> Row {
    Row {
        method,
        about,
        arguments,
        own,
        bus: cells,
        user: cells,
        pam: cells[4],
    }
}

/// Another's dialogue: alike for everybody, root on another connection included.
const fn foreign(
    method: &'static str,
    about: &'static str,
    arguments: &'static str,
    came: Came,
) -> Row {
    Row {
        method,
        about,
        arguments,
        own: false,
        bus: [came; 5],
        user: [came; 5],
        pam: came,
    }
}

/// Served on the bus only.
const fn managed(
    method: &'static str,
    about: &'static str,
    arguments: &'static str,
    bus: [Came; 5],
) -> Row {
    Row {
        method,
        about,
        arguments,
        own: false,
        bus,
        user: [NotServed; 5],
        pam: NotServed,
    }
}

/// Root's alone, where polkit lets nobody else.
const ROOTS: [Came; 5] = [Refused, Refused, Refused, Refused, Done];

/// In the order in which each caller makes the calls; root, who may do all of it, comes last.
pub(super) const ROWS: &[Row] = &[
    // By nobody, alice, bob, mfad and root. A stranger is asked as the owner would be, and learns nothing.
    login(
        "Authentication.Begin",
        "alice, who is enrolled",
        "[CONTEXT, []]",
        false,
        [Asked; 5],
    ),
    login(
        "Authentication.Respond",
        "that dialogue, the right code",
        r#"["$", ["TOKEN"], []]"#,
        false,
        [Denied, Granted, Denied, Denied, Granted],
    ),
    // Root alone is believed that a password was right, and so is let go on without a factor.
    login(
        "Authentication.Begin",
        "the caller",
        "[CONTEXT, []]",
        true,
        [Asked, Asked, Asked, Asked, NotRequired],
    ),
    foreign(
        "Authentication.Respond",
        "root's dialogue for alice, the right code",
        r#"["DIALOGUE", ["CODE"], []]"#,
        Denied,
    ),
    foreign(
        "Authentication.Cancel",
        "the same dialogue: no effect, and no word about it",
        r#"["DIALOGUE"]"#,
        Done,
    ),
    managed("Enrollment.Status", "the caller", "[]", [Done; 5]),
    managed(
        "Enrollment.Begin",
        "a TOTP factor for the caller",
        r#"["totp", {}, ""]"#,
        [Done, NeedsGrant, Done, Done, Done],
    ),
    managed(
        "Enrollment.Confirm",
        "carol's offer, the right code",
        r#"["OFFER", "NEXT"]"#,
        [NotFound; 5],
    ),
    managed(
        "Enrollment.ConfirmKey",
        "carol's offer, and no agent",
        r#"["OFFER", []]"#,
        [NotFound; 5],
    ),
    managed(
        "Enrollment.ConfirmSecurityKey",
        "carol's offer, and no process",
        r#"["OFFER", [], []]"#,
        [NotFound; 5],
    ),
    managed(
        "Enrollment.Cancel",
        "carol's offer: no effect, and no word about it",
        r#"["OFFER"]"#,
        [Done; 5],
    ),
    managed(
        "Enrollment.Rename",
        "alice's factor",
        r#"["CREDENTIAL", "telephone"]"#,
        [NotFound, Done, NotFound, NotFound, NotFound],
    ),
    managed(
        "Enrollment.Remove",
        "alice's factor",
        r#"["CREDENTIAL", ""]"#,
        [NotFound, NeedsGrant, NotFound, NotFound, NotFound],
    ),
    managed("Enrollment.ListDevices", "the caller", "[]", [Done; 5]),
    managed(
        "Enrollment.RevokeDevices",
        "all of the caller's",
        r#"[""]"#,
        [Done; 5],
    ),
    managed(
        "Enrollment.RevokeDevices",
        "a device that is nobody's",
        r#"["0123456789abcdef"]"#,
        [NotFound; 5],
    ),
    managed(
        "Enrollment.Require",
        "two factors for the caller's sudo",
        r#"["[[rule]]\nname = \"mine\"\nwhen = { service = \"sudo\" }\nrequire = { count = 2 }\n", ""]"#,
        [NotFound, NeedsGrant, NotFound, NotFound, NotFound],
    ),
    managed(
        "Enrollment.Prefer",
        "totp for the caller",
        r#"["totp"]"#,
        [NotFound, Done, NotFound, NotFound, NotFound],
    ),
    managed("Administration.Status", "the daemon", "[]", ROOTS),
    managed("Administration.ListUsers", "all", r#"["", 10]"#, ROOTS),
    managed("Administration.ShowUser", "alice", r#"["alice"]"#, ROOTS),
    managed(
        "Administration.EnrollUser",
        "alice",
        r#"["alice", "hotp", {"name": "token"}]"#,
        ROOTS,
    ),
    managed(
        "Administration.RemoveCredential",
        "alice",
        r#"["alice", "token"]"#,
        ROOTS,
    ),
    managed(
        "Administration.UnlockUser",
        "alice",
        r#"["alice", false]"#,
        ROOTS,
    ),
    managed("Administration.ListDevices", "alice", r#"["alice"]"#, ROOTS),
    managed(
        "Administration.RevokeDevices",
        "all of alice's",
        r#"["alice", ""]"#,
        ROOTS,
    ),
    managed(
        "Administration.ClearRequirement",
        "alice",
        r#"["alice"]"#,
        ROOTS,
    ),
    managed("Administration.ResetUser", "dave", r#"["dave"]"#, ROOTS),
    managed("Administration.Audit", "all records", "[{}]", ROOTS),
    managed(
        "Administration.ExplainPolicy",
        "a login of alice's",
        r#"[{"user": "alice", "service": "sshd"}]"#,
        ROOTS,
    ),
    managed("Administration.Reload", "the configuration", "[]", ROOTS),
];
