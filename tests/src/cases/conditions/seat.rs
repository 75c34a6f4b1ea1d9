//! Where somebody sits, in the real logind's word: at a seat of this machine, or come by ssh.

use super::{CODE, REMEMBER, devices, rule};
use crate::{
    Failure, Outcome,
    cases::{Case, WITH_SYSTEMD},
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
    totp::Totp,
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
    Case::new(
        "a seat is remembered as a device for sudo there, and not for sudo in a session that came by ssh",
        remembered,
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

fn administrator(host: &Host) -> Result<(Person, Totp), Failure> {
    host.use_stack("sudo")?;
    let enrolled = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    Ok(enrolled)
}

/// The rule exempts at the seat alone, and its opposite exempts elsewhere alone.
fn tells_apart(host: &Host, condition: &str) -> Outcome {
    let (alice, _) = administrator(host)?;
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

fn remembered(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    host.policy(&rule(
        "{ service = \"sudo\" }",
        "require = \"any\"\nremember = { for = \"12h\", bind = [\"seat\"] }",
    ))?;
    let mut screen = at_the_seat(host, &alice)?;
    sudo(&mut screen, &alice, true)?;
    screen.line(&totp.code(0)?)?;
    screen.expect(REMEMBER, PROMPT)?;
    screen.line("y")?;
    screen.expect("uid-0", PROMPT)?;
    ensure(devices(host)? == 1, || "the seat is not kept".to_owned())?;
    sudo(&mut screen, &alice, false)?;
    sudo(&mut by_ssh(host, &alice)?, &alice, true)
}
