//! Security keys in a session at the seat of a machine: login at its console, and from there sudo and su, with a key that
//! is touched, refuses, is taken out, wants its PIN, has been copied or misbehaves.

pub mod enrolling;
pub mod hostile;
pub mod others;
pub mod pins;

use std::time::{Duration, Instant};

use super::{Case, IN_A_MACHINE};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
};

/// The table.
pub const CASES: &[Case] = &[
    case(
        "login at the console, and sudo and su in its session, let in by a touch of the virtual key",
        touches,
    ),
    case(
        "a touch denied is told and a code lets in; one that comes late, or after the key is plugged in, counts",
        detours,
    ),
    case(
        "a policy that wants the user verified has sudo ask the key's PIN, or takes the finger",
        verified,
    ),
    case(
        "of two virtual keys only the one that is wanted blinks",
        two_keys,
    ),
    case(
        "sudo refuses a virtual key whose counter has gone back, and the audit log tells of the copy",
        copied,
    ),
    case(
        "in an ssh session neither login nor sudo has a word of the virtual key",
        from_afar,
    ),
];

const fn case(name: &'static str, run: fn(&Host) -> Outcome) -> Case {
    Case::new(name, run).on(IN_A_MACHINE).within(120)
}

const TOUCH: &str = "touch your security key";
const CODE: &str = "Verification code: ";
const SHELL: &str = "$ ";
/// What sudo runs, and what comes of it; the echo of the command line is not that.
const SUDO: &str = "sudo -k; sudo sh -c 'echo now-$(id -un)-so'";
const DONE: &str = "now-root-so";
/// What a key that is waited for may take.
const LONG: Duration = Duration::from_secs(30);
const VERIFIED: &str = "[[rule]]\nname = \"all\"\nwhen = {}\n\
                        require = { any = [\"fido2\"], user-verified = true }\n";

/// Alice, who has the blue key and a token, in a session at the seat.
struct Seat<'h> {
    host: &'h Host,
    alice: Person,
    codes: std::vec::IntoIter<String>,
    screen: Pty,
}

/// Alice with a token and some codes of it.
fn alice(host: &Host) -> Result<(Person, Vec<String>), Failure> {
    let alice = host.person("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    for stack in ["login", "sudo", "su"] {
        host.use_stack(stack)?;
    }
    Ok((alice, host.enroll_token("alice", 20)?))
}

/// Takes over the blue key for Alice, with `attributes` in pam_u2f's words.
fn import(host: &Host, attributes: &str) -> Outcome {
    host.ok(&format!(
        "pamu2fcfg --origin=pam://bed --appid=pam://bed --username=alice | \
         sed 's/+presence/{attributes}/' >/root/u2f_mappings"
    ))?;
    host.ok("mfactl import pam-u2f /root/u2f_mappings --origin pam://bed")
        .map(drop)
}

/// Logs in at the console, by a touch of the blue key.
fn sit(host: &Host) -> Result<Seat<'_>, Failure> {
    let (alice, codes) = alice(host)?;
    import(host, "+presence")?;
    sit_down(host, alice, codes, true)
}

/// Logs in at the console, by a touch or by a code.
fn sit_down(
    host: &Host,
    alice: Person,
    codes: Vec<String>,
    by_touch: bool,
) -> Result<Seat<'_>, Failure> {
    let mut codes = codes.into_iter();
    // A terminal stands in for the console's screen and keyboard; login, PAM and logind know it by its name.
    let mut screen = host.terminal(&[
        "bash",
        "-c",
        "mount --bind $(tty) /dev/tty1 && exec login </dev/tty1 >/dev/tty1 2>&1",
    ])?;
    screen.expect("login: ", PROMPT)?;
    screen.line("alice")?;
    screen.expect("assword: ", PROMPT)?;
    screen.line(&alice.password)?;
    if by_touch {
        screen.expect(TOUCH, PROMPT)?;
        screen.expect(": ", PROMPT)?;
        screen.line("")?;
    } else {
        screen.expect(CODE, PROMPT)?;
        screen.line(&codes.next().unwrap_or_default())?;
    }
    screen.expect(SHELL, LONG)?;
    Ok(Seat {
        host,
        alice,
        codes,
        screen,
    })
}

impl Seat<'_> {
    fn tell(&self, orders: &str) -> Outcome {
        self.host.ok(&format!("vkey tell blue {orders}")).map(drop)
    }

    /// Has `command` ask, up to the prompt with the key.
    fn ask(&mut self, command: &str) -> Outcome {
        self.screen.line(command)?;
        self.password()?;
        self.screen.expect(TOUCH, PROMPT)?;
        self.screen.expect(": ", PROMPT).map(drop)
    }

    fn password(&mut self) -> Outcome {
        self.screen.expect("assword", PROMPT)?;
        self.screen.expect(": ", PROMPT)?;
        self.screen.line(&self.alice.password)
    }

    /// sudo, with Enter at the prompt.
    fn enter(&mut self) -> Outcome {
        self.ask(SUDO)?;
        self.screen.line("")
    }

    /// Waits until sudo has run its command.
    fn done(&mut self) -> Outcome {
        self.screen.expect(DONE, LONG)?;
        self.screen.expect(SHELL, PROMPT).map(drop)
    }

    /// Waits for one of `sentences`, and goes on from the prompt after it with a code.
    fn code_after(&mut self, sentences: &[&str]) -> Outcome {
        let refused = [sentences, &[DONE]].concat();
        let (which, shown) = self.screen.expect_any(&refused, LONG)?;
        ensure(which < sentences.len(), || format!("let in: {shown}"))?;
        self.code()?;
        self.done()
    }

    /// Types a code at the prompt that takes one.
    fn code(&mut self) -> Outcome {
        self.screen.expect(CODE, PROMPT)?;
        let code = self
            .codes
            .next()
            .ok_or_else(|| Failure::new("no code is left"))?;
        self.screen.line(&code)
    }

    /// Waits until sudo has refused, and gives up.
    fn refused(&mut self) -> Outcome {
        let (which, shown) = self.screen.expect_any(&["try again", DONE], LONG)?;
        ensure(which == 0, || format!("let in: {shown}"))?;
        self.screen.send("\u{3}")?;
        self.screen.expect(SHELL, PROMPT).map(drop)
    }

    /// Keeps what is on the screen.
    fn note(&self) {
        self.host.note(self.screen.transcript());
    }
}

/// Runs `body` at the seat; what was on the screen is kept for whoever has to understand a failure.
fn at_the_seat(host: &Host, body: impl FnOnce(&mut Seat<'_>) -> Outcome) -> Outcome {
    let mut seat = sit(host)?;
    let outcome = body(&mut seat);
    seat.note();
    outcome
}

fn touches(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        let session = host.ok("loginctl list-sessions --no-legend")?;
        ensure(
            session.contains("alice") && session.contains("seat0"),
            || format!("not at the seat: {session}"),
        )?;
        seat.enter()?;
        seat.done()?;
        seat.ask("su alice -c 'echo as-$(id -un)-so'")?;
        seat.screen.line("")?;
        seat.screen.expect("as-alice-so", LONG)?;
        seat.screen.expect(SHELL, PROMPT).map(drop)
    })
}

fn detours(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        seat.tell("up=deny")?;
        seat.enter()?;
        seat.code_after(&["Your security key \"fido2\" said no."])?;
        seat.tell("up=delay:3")?;
        let begun = Instant::now();
        seat.enter()?;
        seat.done()?;
        ensure(begun.elapsed() >= Duration::from_secs(3), || {
            "let in before the touch".to_owned()
        })?;
        seat.tell("up=auto unplug")?;
        seat.enter()?;
        // sudo has the module say nothing but prompts (PAM_SILENT).
        seat.screen
            .expect("Plug in your security key. Press Enter", LONG)?;
        seat.screen.expect(": ", PROMPT)?;
        seat.tell("plug")?;
        seat.screen.line("")?;
        seat.done()
    })
}

fn verified(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        host.policy(VERIFIED)?;
        seat.tell("pin=271828")?;
        seat.enter()?;
        seat.screen
            .expect("PIN of your security key \"fido2\": ", LONG)?;
        seat.screen.line("314159")?;
        seat.screen
            .expect("Wrong PIN; 7 tries left. PIN of", LONG)?;
        seat.screen.expect(": ", PROMPT)?;
        seat.screen.line("271828")?;
        seat.done()?;
        ensure(
            !seat
                .screen
                .transcript()
                .replace("<271828>", "")
                .contains("271828"),
            || "the PIN was shown".to_owned(),
        )?;
        seat.tell("pin= uv=good")?;
        seat.enter()?;
        seat.done()
    })
}

fn two_keys(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        host.ok("systemctl start vkey@red && vkey tell red up=wait && vkey tell blue up=wait")?;
        seat.enter()?;
        host.ok(
            "for i in $(seq 100); do vkey tell blue status | grep -q blinks=true && exit 0; \
             vkey tell red status | grep -q blinks=true && exit 1; sleep 0.1; done; exit 1",
        )?;
        host.ok("vkey tell red status | grep blinks=false; ! vkey tell red touch")?;
        seat.tell("touch")?;
        seat.done()
    })
}

fn copied(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        seat.enter()?;
        seat.done()?;
        let before = host.ok("mfactl audit")?;
        ensure(!before.contains("cloned"), || before.clone())?;
        seat.tell("counter=clone")?;
        seat.enter()?;
        seat.refused()?;
        let audit = host.ok("mfactl audit")?;
        ensure(audit.contains("cloned"), || {
            format!("no alarm in the audit log: {audit}")
        })
    })
}

fn from_afar(host: &Host) -> Outcome {
    let (alice, codes) = alice(host)?;
    import(host, "+presence")?;
    host.use_stack("sshd-key")?;
    let [first, second, ..] = codes.as_slice() else {
        return Err(Failure::new("too few codes"));
    };
    let mut screen = host.ssh(&alice, "-t", SUDO)?;
    let begun = screen.expect(CODE, PROMPT)?;
    screen.line(first)?;
    screen.expect("assword for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    let then = screen.expect(CODE, PROMPT)?;
    screen.line(second)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains(DONE), || {
        format!("{status}: {shown}")
    })?;
    ensure(!format!("{begun}{then}").contains("security key"), || {
        format!("a key is offered: {begun}{then}")
    })
}
