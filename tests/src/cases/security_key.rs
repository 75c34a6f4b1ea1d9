//! Security keys of the machine itself, through everything there is: module, daemon, helper and the kernel's uhid.

use std::time::{Duration, Instant};

use super::{Case, IN_A_MACHINE};
use crate::{Failure, Outcome, failure::ensure, host::Host, pty::Pty};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a credential of pam_u2f is taken over, and its key's touch lets in at the console",
        console,
    )
    .on(IN_A_MACHINE),
    Case::new(
        "who has no key of the machine has none asked, and the helper never starts for them",
        nobody,
    )
    .on(IN_A_MACHINE),
];

const WAIT: Duration = Duration::from_secs(20);
const PROMPT: &str = "touch your security key";

/// Alice, with the virtual key that pamu2fcfg has registered.
fn registered(host: &Host) -> Outcome {
    host.person("alice")?;
    host.ok("pamu2fcfg --origin=pam://bed --appid=pam://bed --username=alice >/root/u2f_mappings")?;
    host.ok("mfactl import pam-u2f /root/u2f_mappings --origin pam://bed")?;
    host.use_stack("login")
}

/// alice's login at the console, her password given.
fn at_console(host: &Host) -> Result<Pty, Failure> {
    let mut screen = host.terminal(&[
        "pamtester",
        "-I",
        "tty=tty1",
        "login",
        "alice",
        "authenticate",
    ])?;
    screen.expect("assword", WAIT)?;
    screen.line("correct horse alice")?;
    Ok(screen)
}

/// One login at the console, with Enter at the prompt; whether it was let in, what was shown, and how long the touch took.
fn login(host: &Host, orders: &str) -> Result<(bool, String, Duration), Failure> {
    host.ok(&format!("vkey tell blue {orders}"))?;
    let mut screen = at_console(host)?;
    screen.expect(PROMPT, WAIT)?;
    let begin = Instant::now();
    screen.line("")?;
    let (status, shown) = screen.end(WAIT)?;
    host.note(&shown);
    Ok((status.success(), shown, begin.elapsed()))
}

fn console(host: &Host) -> Outcome {
    registered(host)?;
    let (admitted, shown, took) = login(host, "up=auto")?;
    host.note(&format!("let in is {admitted}, {took:?} after Enter"));
    ensure(admitted, || shown.clone())
}

fn nobody(host: &Host) -> Outcome {
    host.enrolled("alice")?;
    host.use_stack("login")?;
    let mut screen = at_console(host)?;
    screen.expect("Verification code: ", WAIT)?;
    screen.line("")?;
    let (_, shown) = screen.end(WAIT)?;
    ensure(!shown.contains(PROMPT), || shown.clone())?;
    let helpers = host.ok("journalctl --boot --output=cat --unit='mfad-fido@*' | wc -l; systemctl show -P NAccepted mfad-fido.socket")?;
    ensure(helpers.split_whitespace().all(|count| count == "0"), || {
        format!("the helper started: {helpers}")
    })
}
