//! Owns the six entry points: what each asks the daemon, and what it leaves for the next. It must not turn an outcome
//! into a PAM code by itself: that is `outcome`'s table.

use std::{ffi::CStr, time::Instant};

use mfad_protocol::{Context, Hook};
use pam::{
    constants::{PamFlag, PamResultCode},
    module::PamHandle,
};

use crate::{
    args::{Args, Unreachable},
    context::{self, Login},
    dialogue::{self, Ended, Mute},
    ffi,
    log::Log,
    outcome::{self, Facts, Open, Outcome},
    screen::HostScreen,
    transaction::{self, Passed, Preliminary, Transaction},
    transport::Daemon,
};

/// libpam's flags of the two halves of `pam_chauthtok(3)`, for modules only (`security/pam_modules.h`).
const PRELIM_CHECK: PamFlag = 0x4000;

/// What each hook starts from.
struct Call {
    hook: Hook,
    args: Args,
    log: Log,
}

impl Call {
    /// Reads the arguments. An error is this hook's answer: a module that is told something it does not understand
    /// must not guess.
    fn read(pamh: &PamHandle, raw: &[&CStr], hook: Hook) -> Result<Self, PamResultCode> {
        let name = match hook {
            Hook::Auth => "auth",
            Hook::Account => "account",
            Hook::Session => "session",
            Hook::Password => "password",
        };
        let (args, log) = read_args(pamh, raw, name)?;
        #[cfg(feature = "failpoints")]
        assert!(
            args.failpoint.as_deref() != Some(&format!("panic:{name}")),
            "injected"
        );
        let misplaced = if args.decoy && hook != Hook::Auth {
            Some("\"decoy\" belongs on an auth line")
        } else if args.defer && hook != Hook::Account {
            Some("\"defer=session\" belongs on the account line")
        } else {
            None
        };
        if let Some(misplaced) = misplaced {
            log.error(format_args!("{misplaced}; access is denied"));
            return Err(PamResultCode::PAM_SERVICE_ERR);
        }
        Ok(Self { hook, args, log })
    }

    /// The dialogue with the daemon.
    fn ask(&self, pamh: &PamHandle, login: Login, grant: Option<String>) -> Ended {
        self.ask_as(self.hook, pamh, login, grant)
    }

    /// The same in the name of another phase.
    fn ask_as(&self, hook: Hook, pamh: &PamHandle, login: Login, grant: Option<String>) -> Ended {
        let deadline = Instant::now() + self.args.timeout;
        let host = HostScreen::of(pamh, login.silent);
        let context = login.context(hook, &self.args, grant);
        let mut daemon = Daemon::new(&self.log);
        let ended = match hook {
            Hook::Auth | Hook::Password => {
                dialogue::run(&mut daemon, &host, &context, deadline, &self.log)
            }
            Hook::Account | Hook::Session => {
                dialogue::run(&mut daemon, &Mute(&host), &context, deadline, &self.log)
            }
        };
        self.log
            .debug(format_args!("{} {:?}", described(&context), ended.outcome));
        ended
    }

    fn code(&self, outcome: Outcome, facts: Facts) -> PamResultCode {
        outcome::code(self.hook, outcome, facts)
    }

    /// What holds without a word from the person: no first factor, and open only if the arguments say so.
    const fn facts(&self, open: Open) -> Facts {
        Facts {
            decoy: self.args.decoy,
            first_factor: false,
            open,
        }
    }

    /// The account and session phases hold to what let the auth phase pass.
    const fn open_after(&self, passed: Option<Passed>) -> Open {
        match passed {
            Some(Passed::BreakGlass) => Open::BreakGlass,
            Some(Passed::Ignored) => Open::Ignored,
            Some(Passed::Granted | Passed::NotRequired) | None => self.open_by_argument(),
        }
    }

    const fn open_by_argument(&self) -> Open {
        match self.args.unreachable {
            Unreachable::Deny => Open::Closed,
            Unreachable::Ignore => Open::Ignored,
        }
    }
}

fn read_args(pamh: &PamHandle, raw: &[&CStr], name: &str) -> Result<(Args, Log), PamResultCode> {
    let mut log = Log::new(&context::service(pamh), name);
    match Args::parse(raw) {
        Ok(args) => {
            log.set_debug(args.debug);
            Ok((args, log))
        }
        Err(error) => {
            log.error(format_args!("{error}; access is denied. See pam_mfa(8)"));
            Err(PamResultCode::PAM_SERVICE_ERR)
        }
    }
}

fn described(context: &Context) -> String {
    format!(
        "user \"{}\" from \"{}\":",
        mfad_protocol::printable(&context.user),
        mfad_protocol::printable(context.rhost.as_deref().unwrap_or_default())
    )
}

/// `pam_sm_authenticate`.
pub(crate) fn authenticate(pamh: &mut PamHandle, raw: &[&CStr], flags: PamFlag) -> PamResultCode {
    let call = match Call::read(pamh, raw, Hook::Auth) {
        Ok(call) => call,
        Err(code) => return code,
    };
    let login = Login::of(pamh, flags, true);
    let open = if call.args.unreachable == Unreachable::Ignore {
        Open::Ignored
    } else if login.breaks_glass(&call.args) {
        Open::BreakGlass
    } else {
        Open::Closed
    };
    let facts = Facts {
        decoy: call.args.decoy,
        first_factor: login.first_factor(&call.args),
        open,
    };
    let who = format!(
        "{} on {}",
        login.user,
        login.tty.as_deref().unwrap_or("no terminal")
    );
    let whose = login.whose();
    let ended = call.ask(pamh, login, None);
    let code = call.code(ended.outcome, facts);
    if let Some(passed) = passed(ended.outcome, facts) {
        match passed {
            Passed::BreakGlass => call.log.alert(format_args!(
                "BREAK-GLASS: {} let in without a second factor, mfad being out of order",
                mfad_protocol::printable(&who)
            )),
            Passed::Ignored => call.log.warning(format_args!(
                "no second factor asked of {}: mfad is out of order, and unreachable=ignore is set",
                mfad_protocol::printable(&who)
            )),
            Passed::Granted | Passed::NotRequired => {}
        }
        let kept = Transaction {
            whose: Some(whose),
            passed: Some(passed),
            grant: ended.grant,
            preliminary: None,
        };
        return keep(pamh, &call, kept).unwrap_or(code);
    }
    // A host may try again in one handle: what an earlier try was granted is nothing to one that was not.
    if !call.args.decoy && ffi::transaction(pamh) != Transaction::default() {
        return keep(pamh, &call, Transaction::default()).unwrap_or(code);
    }
    code
}

/// Keeps what the account phase will need; what to say instead where that cannot be done.
fn keep(pamh: &mut PamHandle, call: &Call, kept: Transaction) -> Option<PamResultCode> {
    ffi::keep_transaction(pamh, kept).err()?;
    call.log.error(format_args!(
        "libpam cannot keep the outcome for the account phase"
    ));
    Some(outcome::failed(Hook::Auth))
}

/// How the auth phase passed, if it did.
const fn passed(outcome: Outcome, facts: Facts) -> Option<Passed> {
    if facts.decoy {
        return None;
    }
    match (outcome, facts.open) {
        (Outcome::Granted, _) => Some(Passed::Granted),
        (Outcome::NotRequired, _) => Some(Passed::NotRequired),
        (Outcome::Unavailable, Open::Ignored) => Some(Passed::Ignored),
        (Outcome::Unavailable, Open::BreakGlass) => Some(Passed::BreakGlass),
        (Outcome::Unavailable, Open::Closed) | (Outcome::Denied | Outcome::Lost, _) => None,
    }
}

/// `pam_sm_acct_mgmt`.
pub(crate) fn account(pamh: &mut PamHandle, raw: &[&CStr], flags: PamFlag) -> PamResultCode {
    let call = match Call::read(pamh, raw, Hook::Account) {
        Ok(call) => call,
        Err(code) => return code,
    };
    let login = Login::of(pamh, flags, false);
    let guarded = call.args.guards(&login.service);
    let earlier = ffi::transaction(pamh).of(&login.whose());
    let open = call.open_after(earlier.passed);
    // Nothing pending: the auth phase was skipped, which is every other service's own affair (sudo's timestamp,
    // NOPASSWD, cron, root's su), or passed without a daemon that could have something pending.
    if !guarded && earlier.grant.is_none() {
        return call.code(Outcome::NotRequired, call.facts(open));
    }
    let grant = earlier.grant;
    let ended = call.ask(pamh, login, grant.clone());
    let grant = ended.grant.or(grant);
    if guarded
        && matches!(ended.outcome, Outcome::Granted | Outcome::NotRequired)
        && let Some(grant) = grant
        && !transaction::leave_grant_in_environment(pamh, &grant)
    {
        call.log
            .error(format_args!("libpam cannot hand the grant to the session"));
        return outcome::failed(Hook::Account);
    }
    call.code(ended.outcome, call.facts(open))
}

/// `pam_sm_open_session`.
pub(crate) fn open_session(pamh: &mut PamHandle, raw: &[&CStr], flags: PamFlag) -> PamResultCode {
    // First of all: whatever the rest comes to, the user's session must not show it.
    let carried = transaction::take_grant_from_environment(pamh);
    let call = match Call::read(pamh, raw, Hook::Session) {
        Ok(call) => call,
        Err(code) => return code,
    };
    let login = Login::of(pamh, flags, false);
    let earlier = ffi::transaction(pamh).of(&login.whose());
    let grant = carried.or(earlier.grant);
    if !call.args.guards(&login.service) {
        if grant.is_some() && !login.silent {
            // For its lines alone: this login was judged in auth and account.
            let _ = call.ask(pamh, login, grant);
        }
        return call.code(Outcome::NotRequired, call.facts(Open::Closed));
    }
    let open = call.open_after(earlier.passed);
    let ended = call.ask(pamh, login, grant);
    call.code(ended.outcome, call.facts(open))
}

/// `pam_sm_chauthtok`.
pub(crate) fn change_password(
    pamh: &mut PamHandle,
    raw: &[&CStr],
    flags: PamFlag,
) -> PamResultCode {
    let call = match Call::read(pamh, raw, Hook::Password) {
        Ok(call) => call,
        Err(code) => return code,
    };
    let preliminary = flags & PRELIM_CHECK != 0;
    let login = Login::of(pamh, flags, preliminary);
    let whose = login.whose();
    let mut kept = ffi::transaction(pamh).of(&whose);
    if !preliminary {
        return update(pamh, &call, login, kept.preliminary);
    }
    let (outcome, grant) = if nix::unistd::getuid().is_root() {
        // chpasswd, root's passwd, sshd and login for an expired password: root could write the shadow file itself.
        (Outcome::NotRequired, None)
    } else if kept.passed == Some(Passed::Granted) {
        (Outcome::Granted, None)
    } else {
        let ended = call.ask(pamh, login, kept.grant.clone());
        (ended.outcome, ended.grant)
    };
    kept.whose = Some(whose);
    kept.preliminary = Some(Preliminary { outcome, grant });
    if ffi::keep_transaction(pamh, kept).is_err() {
        call.log.error(format_args!(
            "libpam cannot keep the outcome for the update"
        ));
        return outcome::failed(Hook::Password);
    }
    call.code(outcome, call.facts(call.open_by_argument()))
}

/// The update half, which libpam comes to only if every module's check has passed: what ours left pending is committed, as
/// the account phase of a login does.
///
/// It says what the check said. Linux-PAM 1.5.2 takes this line's action (a jump, for one) from what is said now, so that
/// anything else would send the two halves through different modules.
fn update(
    pamh: &PamHandle,
    call: &Call,
    login: Login,
    checked: Option<Preliminary>,
) -> PamResultCode {
    let facts = call.facts(call.open_by_argument());
    let Some(Preliminary { outcome, grant }) = checked else {
        return call.code(Outcome::Denied, facts);
    };
    if outcome == Outcome::Granted && grant.is_some() {
        // The password may be another already. If this fails, what was pending lapses, and the daemon's log tells of it.
        let _ = call.ask_as(Hook::Account, pamh, login, grant);
    }
    call.code(outcome, facts)
}

/// `pam_sm_setcred`, `pam_sm_close_session`: there are no credentials of ours, and a session leaves nothing behind.
pub(crate) fn nothing_to_do(pamh: &PamHandle, raw: &[&CStr], name: &str) -> PamResultCode {
    match read_args(pamh, raw, name) {
        Ok(_) => PamResultCode::PAM_SUCCESS,
        Err(code) => code,
    }
}
