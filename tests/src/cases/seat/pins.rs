//! The PIN of a security key at the seat of a machine: by either protocol, wrong, paused and blocked.

use super::{DONE, SUDO, Seat, VERIFIED, alice, at_the_seat, case, import, sit_down};
use crate::{Outcome, cases::Case, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    case(
        "a PIN verifies the user to sudo by either protocol of the virtual key",
        protocols,
    ),
    case(
        "a PIN that is wrong too often pauses the virtual key, then blocks it, and a code still lets in",
        blocked,
    ),
    case(
        "with the preset aal3 sudo takes no code but the virtual key with its PIN, and nothing is lacking",
        aal3,
    ),
];

const PIN: &str = "271828";
const ASKED: &str = "PIN of your security key \"fido2\": ";

fn protocols(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        host.policy(VERIFIED)?;
        for protocol in ["1", "2"] {
            host.note(&format!("the key knows PIN protocol {protocol}"));
            seat.tell(&format!("pin-protocol={protocol} pin={PIN}"))?;
            seat.enter()?;
            seat.pin(&[("", "314159"), ("Wrong PIN; 7 tries left. ", PIN)])?;
            seat.done()?;
        }
        Ok(())
    })
}

fn aal3(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        host.ok(
            "install -d /etc/mfa/policy.d && cp /usr/lib/mfa/presets/aal3.toml /etc/mfa/policy.d/ && \
             mfactl policy reload && mfactl policy check --preset aal3",
        )?;
        seat.tell(&format!("pin={PIN}"))?;
        seat.ask(SUDO)?;
        // A code is not asked for: whatever is typed here is as good as Enter.
        let code = seat.codes.next().unwrap_or_default();
        seat.screen.line(&code)?;
        let (which, shown) = seat.screen.expect_any(&[ASKED, DONE], super::LONG)?;
        ensure(which == 0, || format!("let in: {shown}"))?;
        seat.screen.line(PIN)?;
        seat.done()
    })
}

fn blocked(host: &Host) -> Outcome {
    let (person, codes) = alice(host)?;
    // A key that is to know its user, whatever the policy says; so codes remain a way.
    import(host, "+presence+pin")?;
    host.ok("vkey tell blue uv=good")?;
    let mut seat = sit_down(host, person, codes, true)?;
    let outcome = wrong_ones(&mut seat);
    seat.note();
    outcome
}

fn wrong_ones(seat: &mut Seat<'_>) -> Outcome {
    const PAUSED: &str =
        "Too many wrong PINs: unplug the key, plug it in again, and try once more.";
    const BLOCKED: &str = "The PIN of your security key \"fido2\" is blocked; the key must be reset and enrolled again.";
    const WRONG: &str = "314159";
    seat.tell(&format!("uv=none pin={PIN}"))?;
    seat.enter()?;
    seat.pin(&[
        ("", WRONG),
        ("Wrong PIN; 7 tries left. ", WRONG),
        ("Wrong PIN; 6 tries left. ", WRONG),
    ])?;
    seat.code_after(&[PAUSED])?;
    // The right one does not help before it was unplugged, and costs no try.
    seat.enter()?;
    seat.pin(&[("", PIN)])?;
    seat.code_after(&[PAUSED])?;
    seat.tell("unplug plug")?;
    seat.enter()?;
    seat.pin(&[
        ("", WRONG),
        ("Wrong PIN; 4 tries left. ", WRONG),
        ("Wrong PIN; 3 tries left. ", WRONG),
    ])?;
    seat.code_after(&[PAUSED])?;
    seat.tell("unplug plug")?;
    seat.enter()?;
    seat.pin(&[
        ("2 tries left. ", WRONG),
        ("Wrong PIN; 1 try left. ", WRONG),
    ])?;
    seat.code_after(&[BLOCKED])?;
    seat.enter()?;
    seat.pin(&[("", PIN)])?;
    seat.code_after(&[BLOCKED])?;
    seat.tell(&format!("pin={PIN}"))?;
    seat.enter()?;
    seat.pin(&[("", PIN)])?;
    seat.done()
}

impl Seat<'_> {
    /// Types each PIN at a prompt that begins with these words.
    fn pin(&mut self, typed: &[(&str, &str)]) -> Outcome {
        for (told, pin) in typed {
            self.screen.expect(&format!("{told}{ASKED}"), super::LONG)?;
            self.screen.line(pin)?;
        }
        Ok(())
    }
}
