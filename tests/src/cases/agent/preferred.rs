//! Which factor is asked for first, once its owner says so by `mfactl prefer`; the others still do.

use super::{CODE, CUE, WHO, became_root, forwarded, sudoer, up_to_the_prompt, with_blue};
use crate::{Outcome, cases::Case, failure::ensure, host::Host};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "sudo asks first for the factor that its person prefers, and takes the other too",
        at_sudo,
    ),
    Case::new(
        "ssh names first the kind of code that its person prefers, and takes the other too",
        at_ssh,
    ),
];

fn prefer(host: &Host, kind: &str) -> Outcome {
    let output = host.sh_as("alice", &format!("mfactl prefer {kind}"))?;
    ensure(output.status == 0, || format!("{output:?}"))
}

fn at_sudo(host: &Host) -> Outcome {
    const CODE_FIRST: &str = "Verification code, or press Enter and touch your ssh key \"blue\": ";
    let (alice, totp) = sudoer(host, true)?;
    with_blue(host)?;
    // The prompt, and the answer that it does not name first.
    for (kind, prompt, answer) in [
        ("ssh-sk", CUE, totp.code(-1)?),
        ("totp", CODE_FIRST, String::new()),
        ("", CUE, totp.code(0)?),
        ("totp", CODE_FIRST, totp.code(1)?),
    ] {
        prefer(host, kind)?;
        let mut screen = forwarded(host, &alice, &format!("sudo -k; {WHO}"))?;
        up_to_the_prompt(&mut screen, &alice, prompt)?;
        screen.line(&answer)?;
        became_root(screen)?;
    }
    Ok(())
}

fn at_ssh(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let sheet = host.enroll_backup_codes("alice")?;
    let login =
        |first: &str, code: &str| host.ssh_in(&alice, "", &[(&format!(") {first}{CODE}"), code)]);
    // A code of now comes last: after it, the prompt says when there will be another.
    login("", &sheet[0])?;
    prefer(host, "backup-codes")?;
    login("Your backup-codes first. ", &sheet[1])?;
    login("Your backup-codes first. ", &totp.code(-1)?)?;
    prefer(host, "totp")?;
    login("Your totp first. ", &sheet[2])?;
    prefer(host, "")?;
    login("", &sheet[3])?;
    prefer(host, "totp")?;
    login("Your totp first. ", &totp.code(0)?)
}
