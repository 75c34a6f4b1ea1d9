//! A security key that its owner enrolls at the seat of a machine, and what it is good for then.

use super::{CODE, LONG, SHELL, SUDO, Seat, TOUCH, VERIFIED, alice, case, sit_down};
use crate::{Outcome, cases::Case, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    case(
        "at the seat alice enrolls the virtual key by a touch, once; it lets sudo in, and another key is none of hers",
        by_touch,
    ),
    case(
        "at the seat alice enrolls a key with a PIN, kept on it, of EdDSA and attested; of two keys each gets its own PIN",
        by_pin,
    ),
];

const PIN: &str = "271828";
const NOW: &str = "Touch the key now.";

/// Alice at the seat, with a token and no key.
fn without_key(host: &Host, body: impl FnOnce(&mut Seat<'_>) -> Outcome) -> Outcome {
    let (person, codes) = alice(host)?;
    let mut seat = sit_down(host, person, codes, false)?;
    let outcome = body(&mut seat);
    seat.note();
    outcome
}

impl Seat<'_> {
    /// Has the key enrolled, up to where it is waited for, by a code as the proof that changes take.
    fn enroll(&mut self, options: &str) -> Outcome {
        self.screen
            .line(&format!("mfactl enroll fido2 {options}"))?;
        self.code()?;
        self.screen
            .expect("Plug in the key, and touch it when it blinks.", PROMPT)
            .map(drop)
    }

    /// Waits for `words` and for the shell after them.
    fn told(&mut self, words: &str) -> Outcome {
        self.screen.expect(words, LONG)?;
        self.screen.expect(SHELL, PROMPT).map(drop)
    }
}

fn by_touch(host: &Host) -> Outcome {
    without_key(host, |seat| {
        seat.tell("up=wait")?;
        seat.enroll("--name blue")?;
        seat.screen.expect(NOW, LONG)?;
        seat.tell("touch up=auto")?;
        seat.told("Stored “blue”.")?;
        let status = host.ok("vkey tell blue status")?;
        // Whoever finds the key does not learn from it whose it is.
        ensure(
            status.contains("credentials=1 newest=es256,protection-2 "),
            || status.clone(),
        )?;
        seat.enter()?;
        seat.done()?;
        seat.screen.line("mfactl test --service sudo")?;
        seat.screen.expect(TOUCH, PROMPT)?;
        seat.screen.expect(": ", PROMPT)?;
        seat.screen.line("")?;
        seat.told("Right: “sudo” would have let you in.")?;
        seat.enroll("--name again")?;
        seat.told("that key is enrolled already")?;
        seat.tell("unplug")?;
        host.ok("systemctl start vkey@red")?;
        seat.enter()?;
        seat.code_after(&["The key that is plugged in is none of yours."])?;
        let status = host.ok("vkey tell red status")?;
        ensure(status.contains("credentials=0 "), || status.clone())?;
        host.ok("vkey tell red unplug")?;
        seat.tell("plug")?;
        seat.enter()?;
        seat.done()
    })
}

fn by_pin(host: &Host) -> Outcome {
    without_key(host, |seat| {
        seat.enroll("--name blue")?;
        seat.told("Stored “blue”.")?;
        seat.tell("unplug")?;
        host.ok("systemctl start vkey@red && vkey tell red algorithm=eddsa attestation=self")?;
        let options = "--name red --pin --resident --attestation";
        seat.enroll(options)?;
        seat.told("the key has no PIN yet; set one with fido2-token -S")?;
        host.ok(&format!("vkey tell red pin={PIN}"))?;
        seat.enroll(options)?;
        seat.screen.expect("PIN of the key: ", LONG)?;
        seat.screen.line("314159")?;
        seat.screen
            .expect("Wrong PIN; 7 tries left. PIN of the key: ", LONG)?;
        seat.screen.line(PIN)?;
        seat.told("no certificate of its maker stands for this key")?;
        host.ok("vkey tell red attestation=x5c")?;
        seat.enroll(options)?;
        seat.screen.expect("PIN of the key: ", LONG)?;
        seat.screen.line(PIN)?;
        seat.told("Stored “red”.")?;
        let status = host.ok("vkey tell red status")?;
        ensure(
            status.contains("newest=eddsa,resident,protection-2 "),
            || status.clone(),
        )?;
        seat.screen.line("mfactl status")?;
        seat.told("EdDSA, with PIN or finger, kept on the key")?;
        seat.ask(SUDO)?;
        seat.screen.line("")?;
        seat.screen
            .expect("PIN of your security key \"red\": ", LONG)?;
        seat.screen.line(PIN)?;
        seat.done()?;
        // The other one was enrolled without.
        host.ok("vkey tell red unplug")?;
        seat.tell("plug")?;
        seat.enter()?;
        let (which, shown) = seat.screen.expect_any(&[super::DONE, CODE], LONG)?;
        ensure(which == 0, || format!("not let in by a touch: {shown}"))?;
        seat.screen.expect(SHELL, PROMPT)?;
        both_with_pins(host, seat)
    })
}

/// Both keys plugged in, each with a PIN of its own: the one that is named gets its own, and neither loses a try.
fn both_with_pins(host: &Host, seat: &mut Seat<'_>) -> Outcome {
    const OF_BLUE: &str = "314159";
    host.policy(VERIFIED)?;
    seat.tell(&format!("pin={OF_BLUE}"))?;
    host.ok("vkey tell red plug")?;
    seat.enter()?;
    let prompt = |name: &str| format!("PIN of your security key \"{name}\": ");
    let (blue, red) = (prompt("blue"), prompt("red"));
    let (which, _) = seat
        .screen
        .expect_any(&[blue.as_str(), red.as_str()], LONG)?;
    seat.screen.line([OF_BLUE, PIN][which])?;
    seat.done()?;
    for name in ["blue", "red"] {
        let status = host.ok(&format!("vkey tell {name} status"))?;
        ensure(status.contains("pin-retries=8 "), || {
            format!("{name}: {status}")
        })?;
    }
    Ok(())
}
