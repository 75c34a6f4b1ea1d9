//! Security keys at the seat of a machine that misbehave, in what they send and in what they sign.

use super::{DONE, LONG, at_the_seat, case};
use crate::{Failure, Outcome, cases::Case, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    case(
        "virtual keys that misbehave let nobody in, and harm neither the daemon nor the way by a code",
        hostile,
    ),
    case(
        "virtual keys that sign what they should not let nobody in, and the second try takes a code",
        lying,
    ),
];

/// What is told of a key that misbehaves: while it is looked for among those plugged in, and once it was asked.
const MISBEHAVED: [&str; 2] = [
    "The key that is plugged in does not answer as it should.",
    "Your security key \"fido2\" ",
];

/// The daemon's process.
fn daemon(host: &Host) -> Result<String, Failure> {
    let process = host.ok("systemctl show -P MainPID mfad.service")?;
    ensure(process.trim() != "0", || "no daemon runs".to_owned())?;
    Ok(process)
}

/// Fails unless the daemon is still the process that it was.
fn same_daemon(host: &Host, before: &str) -> Outcome {
    let after = daemon(host)?;
    ensure(before == after, || {
        format!("the daemon was {before} and is {after}")
    })
}

fn hostile(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        let before = daemon(host)?;
        for fault in [
            "error-0",
            "short-auth-data",
            "silence",
            "endless-keepalive",
            "oversize",
            "foreign-channel",
        ] {
            host.note(&format!("the key's fault is {fault}"));
            // One that blinks for ever stops only when it is taken out.
            seat.tell(&format!("fault={fault} unplug plug"))?;
            seat.enter()?;
            seat.code_after(&MISBEHAVED)?;
        }
        seat.tell("fault=none unplug plug")?;
        seat.enter()?;
        seat.done()?;
        same_daemon(host, &before)
    })
}

fn lying(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        let before = daemon(host)?;
        for (lie, orders) in [
            ("user-absent", "fault=no-touch-flag"),
            ("relying-party", "fault=wrong-rp"),
            ("signature", "fault=wrong-signature"),
            ("cloned", "fault=none counter=1"),
        ] {
            host.note(&format!("the key's lie is {lie}"));
            seat.tell(orders)?;
            seat.enter()?;
            let (which, shown) = seat.screen.expect_any(&["try again", DONE], LONG)?;
            ensure(which == 0, || format!("let in: {shown}"))?;
            seat.password()?;
            seat.code()?;
            seat.done()?;
            let audit = host.ok("mfactl audit")?;
            ensure(audit.contains(lie), || {
                format!("not in the audit log: {lie}: {audit}")
            })?;
        }
        seat.tell("counter=1000")?;
        seat.enter()?;
        seat.done()?;
        same_daemon(host, &before)
    })
}
