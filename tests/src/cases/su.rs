//! su and runuser: whose code is asked, and who is never asked.

use super::Case;
use crate::{Outcome, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    Case::new("su asks for the target's password and code", target),
    Case::new("root's su and runuser are asked nothing", root),
    Case::new(
        "su believes no bus that the caller's environment names",
        fake_bus,
    ),
];

const CODE: &str = "Verification code: ";

fn target(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.person("bob")?;
    let (alice, totp) = host.enrolled("alice")?;
    let mut screen = host.terminal_as("bob", "su alice -c 'echo now-$(id -un)'")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("now-alice"), || {
        format!("{status}: {shown}")
    })
}

fn root(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.enrolled("alice")?;
    for command in [
        "su alice -c 'id -un'",
        "su - alice -c 'id -un'",
        "runuser -u alice -- id -un",
    ] {
        let shown = host.ok(command)?;
        ensure(shown.contains("alice") && !shown.contains(CODE), || {
            format!("`{command}`: {shown}")
        })?;
    }
    Ok(())
}

/// bob runs a bus of his own on which anybody may claim the daemon's name, and points su at it. The real daemon is
/// away, so that nothing but that bus could agree.
fn fake_bus(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.person("bob")?;
    let (alice, _) = host.enrolled("alice")?;
    host.disable_daemon()?;
    host.write(
        "/srv/fake-bus.conf",
        "0644",
        "<busconfig><listen>unix:path=/tmp/fake-bus</listen><auth>EXTERNAL</auth><policy context='default'>\
         <allow send_destination='*' eavesdrop='true'/><allow own='*'/><allow user='*'/></policy></busconfig>\n",
    )?;
    host.sh_as(
        "bob",
        "dbus-daemon --config-file=/srv/fake-bus.conf --fork --print-address",
    )?;
    let mut screen = host.terminal_as(
        "bob",
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/fake-bus su alice -c 'echo now-$(id -un)'",
    )?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(!status.success() && !shown.contains("now-alice"), || {
        format!("{status}: {shown}")
    })
}
