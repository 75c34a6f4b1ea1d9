//! The key sealed to this machine with systemd-creds: the drop-in, applied by the steps that it lists itself.

use super::{Case, WITH_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "with the key sealed and its file gone, codes are taken after a restart and after a cold start",
        sealed,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "a sealed key that another machine sealed lets nobody in, and doctor says so",
        foreign,
    )
    .on(WITH_SYSTEMD),
];

const CODE: &str = "Verification code: ";

/// The steps in the drop-in's comment, done as they stand there, down to the file's end.
fn seal(host: &Host) -> Outcome {
    host.ok(
        "systemd-creds encrypt --name=mfad.key --with-key=host /etc/mfa/mfad.key /etc/mfa/mfad.key.cred && \
         install -D -m 0644 /usr/share/mfa/examples/encrypted-key.conf \
             /etc/systemd/system/mfad.service.d/encrypted-key.conf && \
         systemctl daemon-reload && systemctl restart mfad.service && shred -u /etc/mfa/mfad.key",
    )
    .map(drop)
}

fn enrolled_and_sealed(host: &Host) -> Result<(Person, Totp), Failure> {
    host.use_stack("sshd-key")?;
    let alice = host.enrolled("alice")?;
    seal(host)?;
    Ok(alice)
}

fn sealed(host: &Host) -> Outcome {
    let (alice, totp) = enrolled_and_sealed(host)?;
    host.ok("[ ! -e /etc/mfa/mfad.key ]")?;
    host.ok("systemctl restart mfad.service")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(-1)?)])?;
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    // An upgrade must not take the missing file for a missing key, and make a second one.
    host.ok("/usr/share/mfa/post-install && [ ! -e /etc/mfa/mfad.key ]")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(1)?)])?;
    let doctor = host.sh("mfactl doctor")?;
    ensure(
        doctor.stdout.contains("sealed in /etc/mfa/mfad.key.cred") && doctor.status == 0,
        || format!("doctor ended with {}: {}", doctor.status, doctor.stdout),
    )
}

/// The machine's own secret is another one: what a copied disk would find on other hardware.
fn foreign(host: &Host) -> Outcome {
    let (alice, _) = enrolled_and_sealed(host)?;
    host.ok("rm /var/lib/systemd/credential.secret && systemd-creds setup")?;
    host.stop_daemon()?;
    host.ssh_refused(&alice, "", &[])?;
    let doctor = host.sh("mfactl doctor")?;
    ensure(
        doctor.status == 1 && doctor.stdout.contains("fail  daemon"),
        || format!("doctor ended with {}: {}", doctor.status, doctor.stdout),
    )?;
    let log = host.ok("journalctl -q --no-pager -u mfad.service")?;
    ensure(log.contains("CREDENTIALS"), || {
        format!("nothing points at the credential: {log}")
    })
}
