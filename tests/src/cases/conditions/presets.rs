//! The presets `home`, `pci` and `aal3` at a real sshd. `aal2` stands in `demand`; what `aal3` lets in takes a security key.

use super::{CODE, REMEMBER, rule};
use crate::{Failure, Outcome, cases::Case, failure::ensure, host::Host};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "with the preset home a key alone is refused, let in with a code, and then remembered, and nothing is lacking",
        home,
    ),
    Case::new(
        "with the preset pci a key and a code are refused, a password and a code let in, and nothing is lacking",
        pci,
    ),
    Case::new(
        "with the preset aal3 a password and a code are refused, and nothing is lacking",
        aal3,
    ),
];

/// Puts a preset into force beside a rule that exempts alice; without it, the policy lacks something.
fn in_force(host: &Host, preset: &str) -> Outcome {
    let check = format!("mfactl policy check --preset {preset}");
    let before = host.sh(&check)?;
    ensure(before.status == 1, || format!("{before:?}"))?;
    host.ok(&format!(
        "cp /usr/lib/mfa/presets/{preset}.toml /etc/mfa/policy.d/ && mfactl policy reload"
    ))?;
    host.ok(&check).map(drop)
}

fn home(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let other = host.another_key(&alice)?;
    in_force(host, "home")?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    let remember = REMEMBER.replace("12 hours", "30 days");
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?), (&remember, "y")])?;
    host.ssh_in(&alice, "", &[])?;
    host.ssh_refused(&other, "", &[(CODE, "")])
}

fn pci(host: &Host) -> Outcome {
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule("{ user = \"alice\" }", "require = \"none\""))?;
    in_force(host, "pci")?;
    host.use_stack("sshd-password")?;
    let dialogue = [
        ("Password: ", alice.password.as_str()),
        (CODE, &totp.code(-1)?),
    ];
    host.ssh_in(&alice, "", &dialogue)?;
    host.use_stack("sshd-key")?;
    host.ssh_refused(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn aal3(host: &Host) -> Outcome {
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule("{ user = \"alice\" }", "require = \"none\""))?;
    host.use_stack("sshd-password")?;
    // It is the preset that refuses: without it, the password does.
    host.ssh_in(&alice, "", &[("Password: ", &alice.password)])?;
    in_force(host, "aal3")?;
    let dialogue = [
        ("Password: ", alice.password.as_str()),
        (CODE, &totp.code(0)?),
    ];
    let refused = host.ssh_refused(&alice, "", &dialogue);
    refused.map_err(|failure| Failure::new(format!("a code: {failure}")))
}
