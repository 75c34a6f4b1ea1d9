//! Security keys in a session at the seat of a machine: login at its console, and from there sudo and su, with a key that
//! is touched.

use std::time::Duration;

use super::{Case, IN_A_MACHINE};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
};

/// The table.
pub const CASES: &[Case] = &[case(
    "login at the console, and sudo and su in its session, let in by a touch of the virtual key",
    touches,
)];

const fn case(name: &'static str, run: fn(&Host) -> Outcome) -> Case {
    Case::new(name, run).on(IN_A_MACHINE).within(120)
}

const TOUCH: &str = "touch your security key";
const SHELL: &str = "$ ";
/// What sudo runs, and what comes of it; the echo of the command line is not that.
const SUDO: &str = "sudo -k; sudo sh -c 'echo now-$(id -un)-so'";
const DONE: &str = "now-root-so";
/// What a key that is waited for may take.
const LONG: Duration = Duration::from_secs(30);

/// Alice, who has the blue key, in a session at the seat.
struct Seat {
    alice: Person,
    screen: Pty,
}

/// Alice with the blue key.
fn alice(host: &Host) -> Result<Person, Failure> {
    let alice = host.person("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    host.ok("pamu2fcfg --origin=pam://bed --appid=pam://bed --username=alice >/root/u2f_mappings")?;
    host.ok("mfactl import pam-u2f /root/u2f_mappings --origin pam://bed")?;
    for stack in ["login", "sudo", "su"] {
        host.use_stack(stack)?;
    }
    Ok(alice)
}

/// Logs in at the console, by a touch.
fn sit(host: &Host) -> Result<Seat, Failure> {
    let alice = alice(host)?;
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
    screen.expect(TOUCH, PROMPT)?;
    screen.expect(": ", PROMPT)?;
    screen.line("")?;
    screen.expect(SHELL, LONG)?;
    Ok(Seat { alice, screen })
}

impl Seat {
    /// Has `command` ask, up to the prompt with the key.
    fn ask(&mut self, command: &str) -> Outcome {
        self.screen.line(command)?;
        self.screen.expect("assword", PROMPT)?;
        self.screen.expect(": ", PROMPT)?;
        self.screen.line(&self.alice.password)?;
        self.screen.expect(TOUCH, PROMPT)?;
        self.screen.expect(": ", PROMPT).map(drop)
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
}

/// Runs `body` at the seat; what was on the screen is kept for whoever has to understand a failure.
fn at_the_seat(host: &Host, body: impl FnOnce(&mut Seat) -> Outcome) -> Outcome {
    let mut seat = sit(host)?;
    let outcome = body(&mut seat);
    host.note(seat.screen.transcript());
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
