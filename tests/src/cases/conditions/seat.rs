//! Where somebody sits, in the real logind's word: at a seat of this machine, or come by ssh.

use super::{CODE, rule};
use crate::{
    Failure, Outcome,
    cases::{Case, WITH_SYSTEMD},
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "a rule for a seat opens sudo in a session at this machine, and not in one that came by ssh",
        by_seat,
    )
    .on(WITH_SYSTEMD)
    .within(120),
    Case::new(
        "a rule for local opens sudo in a session at this machine, and not in one that came by ssh",
        locally,
    )
    .on(WITH_SYSTEMD)
    .within(120),
];

/// login(1) on the console. A container has no screen and no keyboard, and its logind no virtual consoles: a
/// pseudo-terminal takes the place of the device. Everything else is real: login opens it, and for its name `pam_systemd` and
/// logind put the session on the seat.
const AT_THE_SEAT: &str = "umount --lazy /dev/console; rm -f /dev/console; touch /dev/console; \
     mount --bind $(tty) /dev/console; exec login </dev/console >/dev/console 2>&1";

fn at_the_seat(host: &Host, alice: &Person) -> Result<Pty, Failure> {
    let mut screen = host.terminal(&["bash", "-c", AT_THE_SEAT])?;
    screen.expect("login: ", PROMPT)?;
    screen.line("alice")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect("$ ", PROMPT)?;
    screen.line("loginctl show-session self -p Seat -p Remote -p TTY; echo shown-$?")?;
    let session = screen.expect("shown-0", PROMPT)?;
    ensure(
        session.contains("Seat=seat0") && session.contains("Remote=no"),
        || format!("logind did not put the session on the seat: {session}"),
    )?;
    Ok(screen)
}

fn by_ssh(host: &Host, alice: &Person) -> Result<Pty, Failure> {
    let mut screen = host.ssh(alice, "-tt", "exec bash --norc -i")?;
    screen.expect("$ ", PROMPT)?;
    Ok(screen)
}

/// sudo in that session; `asks` if for a code too.
fn sudo(screen: &mut Pty, alice: &Person, asks: bool) -> Outcome {
    screen.line("sudo -k sh -c 'echo uid-$(id -u)'")?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen
        .expect(if asks { CODE } else { "uid-0" }, PROMPT)
        .map(drop)
}

/// The rule exempts at the seat alone, and its opposite exempts elsewhere alone.
fn tells_apart(host: &Host, condition: &str) -> Outcome {
    host.use_stack("sudo")?;
    let (alice, _) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    let opposite = format!("{{ service = \"sudo\", not = {condition} }}");
    for (when, asks_here) in [(condition, false), (opposite.as_str(), true)] {
        host.policy(&rule(when, "require = \"none\""))?;
        sudo(&mut at_the_seat(host, &alice)?, &alice, asks_here)
            .map_err(|failure| Failure::new(format!("{when}, at the seat: {failure}")))?;
        sudo(&mut by_ssh(host, &alice)?, &alice, !asks_here)
            .map_err(|failure| Failure::new(format!("{when}, by ssh: {failure}")))?;
    }
    Ok(())
}

fn by_seat(host: &Host) -> Outcome {
    tells_apart(host, "{ seat = \"seat*\" }")
}

fn locally(host: &Host) -> Outcome {
    tells_apart(host, "{ network = \"local\" }")
}
