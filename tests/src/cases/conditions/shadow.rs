//! A policy in the shadow of the one in force, at a real sshd: it decides nothing, and is told.

use super::{super::Case, CODE};
use crate::{Outcome, failure::ensure, host::Host, ssh::PROMPT};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "a login that the shadow would have denied is granted and reported, and a broken shadow denies nobody",
        shadow,
    ),
    Case::new(
        "a shadow in which su asks its caller is told of as one that asks somebody else",
        subject,
    ),
];

const FILE: &str = "/etc/mfa/shadow.toml";
const STRICT: &str =
    "[[rule]]\nname = \"nobody by ssh\"\nwhen = { service = \"sshd\" }\nrequire = \"deny\"\n";

fn shadow(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.write(FILE, "0644", STRICT)?;
    host.ok("mfactl policy reload")?;
    let state = host.ok("mfactl policy shadow")?;
    ensure(state.contains("decides nothing. Rules: 1."), || state)?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(-1)?)])?;
    let report = host.json("mfactl policy shadow report --json")?;
    let denied = report["changes"]["deny"] == 1
        && report["users"][0]["user"] == "alice"
        && report["rules"][0]["rule"] == "“nobody by ssh”";
    ensure(denied, || format!("{report}"))?;
    let drawn = host.ok("mfactl policy shadow report")?;
    ensure(drawn.contains("by user\n  alice  1  █"), || drawn)?;

    // Broken, it is told where an administrator looks, and the login is what it would be without.
    host.write(FILE, "0644", "[[rule]]\n")?;
    host.ok("mfactl policy reload")?;
    let state = host.sh("mfactl policy shadow")?;
    ensure(state.status == 1, || format!("{state:?}"))?;
    let doctor = host.sh("mfactl doctor")?;
    let told = doctor.stdout.contains("/etc/mfa/shadow.toml:1:1");
    ensure(told, || format!("{doctor:?}"))?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    let records = host.ok("mfactl audit")?;
    ensure(records.contains("shadow-refused"), || records)
}

fn subject(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.enrolled("alice")?;
    let (bob, totp) = host.enrolled("bob")?;
    host.write(FILE, "0644", "[subject]\nsu = \"caller\"\n")?;
    host.ok("mfactl policy reload")?;
    let mut screen = host.terminal_as("alice", "su bob -c 'echo now-$(id -un)'")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&bob.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("now-bob", PROMPT)?;
    let report = host.json("mfactl policy shadow report --json")?;
    ensure(report["changes"]["ask-otherwise"] == 1, || {
        format!("{report}")
    })
}
