//! Machines in and out of order.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::qr::{Drawing, Paint};
use crate::terminal::Look;

/// A machine as an installation leaves it.
fn machine() -> TempDir {
    let root = TempDir::new().unwrap();
    for directory in [
        "usr/lib/x86_64-linux-gnu/security",
        "etc/pam.d",
        "etc/mfa/policy.d",
        "run/mfad",
        "usr/share/dbus-1/system.d",
        "usr/share/dbus-1/system-services",
    ] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    write(
        &root,
        "usr/lib/x86_64-linux-gnu/security/pam_mfa.so",
        "",
        0o644,
    );
    write(&root, "etc/pam.d/sshd", "auth required pam_mfa.so\n", 0o644);
    write(&root, "etc/pam.d/su", "# pam_mfa.so, one day\n", 0o644);
    write(
        &root,
        "usr/share/dbus-1/system.d/org.mfad.Mfad1.conf",
        "",
        0o644,
    );
    let service = "usr/share/dbus-1/system-services/org.mfad.Mfad1.service";
    write(&root, service, "", 0o644);
    write(&root, "etc/mfa/mfad.key", "", 0o600);
    let socket = root.path().join("run/mfad/pam.sock");
    UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).unwrap();
    root
}

fn write(root: &TempDir, path: &str, text: &str, mode: u32) {
    let path = root.path().join(path);
    let written = path.with_extension("new");
    fs::write(&written, text).unwrap();
    // Not by us: what another test's thread forks meanwhile would hold a script open for writing, and so unfit to be run.
    let copied = Command::new("cp").arg(&written).arg(&path).status();
    assert!(copied.unwrap().success());
    fs::remove_file(written).unwrap();
    chmod(&path, mode);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn plain(findings: &[Finding], root: &TempDir) -> String {
    let look = Look {
        colour: false,
        colour_beside: false,
        drawing: Drawing {
            paint: Paint::LightText,
            unicode: true,
        },
        ascii: false,
        width: None,
    };
    let terminal = Terminal::scripted(
        look,
        false,
        &[],
        Box::new(std::io::sink()),
        Box::new(std::io::sink()),
    );
    table(findings, &terminal).replace(&root.path().display().to_string(), "")
}

#[test]
fn a_machine_in_order() {
    let root = machine();
    insta::assert_snapshot!(plain(&files::examine(root.path()), &root), @r#"
    ok    module  /usr/lib/x86_64-linux-gnu/security/pam_mfa.so
    ok    stacks  pam_mfa.so in sshd
    ok    bus     policy and service file are in place
    ok    config  /etc/mfa belongs to root alone
    ok    key     /etc/mfa/mfad.key (mode 0600)
    ok    socket  /run/mfad/pam.sock
    ok    fido2   security keys are not offered: only systemd starts the helper that asks them
    "#);
}

#[test]
fn an_empty_machine_says_what_to_install() {
    let root = TempDir::new().unwrap();
    insta::assert_snapshot!(plain(&files::examine(root.path()), &root), @r#"
    fail  module  pam_mfa.so is in none of the directories that PAM looks in: a stack that names it denies
                  → Install the package again (`sudo make install`)
    warn  stacks  no file in /etc/pam.d names pam_mfa.so: nobody is asked for a second factor yet
                  → With a root shell kept open: mfactl enroll totp, then: mfactl pam install sudo
    fail  bus     /usr/share/dbus-1/system.d/org.mfad.Mfad1.conf is missing
                  → Install the package again (`sudo make install`)
    fail  config  /etc/mfa is missing
                  → sudo systemd-tmpfiles --create mfad.conf
    fail  key     /etc/mfa/mfad.key is missing: no stored secret can be read
                  → Restore it from your backup; a new key makes everybody enroll again
    fail  socket  /run/mfad is missing
                  → sudo systemd-tmpfiles --create mfad.conf && sudo systemctl enable --now mfad.socket
    ok    fido2   security keys are not offered: only systemd starts the helper that asks them
    "#);
}

#[test]
fn whatever_others_could_write_or_read_fails() {
    let root = machine();
    for (path, mode) in [
        ("usr/lib/x86_64-linux-gnu/security/pam_mfa.so", 0o666),
        ("etc/mfa", 0o777),
        ("etc/mfa/mfad.key", 0o640),
        ("run/mfad/pam.sock", 0o666),
    ] {
        chmod(&root.path().join(path), mode);
    }
    insta::assert_snapshot!(plain(&files::examine(root.path()), &root), @r#"
    fail  module  /usr/lib/x86_64-linux-gnu/security/pam_mfa.so can be written by others (mode 0666); run `chmod go-w` on it
                  → Find out who changed it, and install the package again
    ok    stacks  pam_mfa.so in sshd
    ok    bus     policy and service file are in place
    fail  config  /etc/mfa can be written by others (mode 0777); run `chmod go-w` on it
                  → Look at what is in it before you trust it again
    fail  key     /etc/mfa/mfad.key must be a plain file of root's that nobody else may read (mode 0640)
                  → sudo chown root:root /etc/mfa/mfad.key && sudo chmod 0600 /etc/mfa/mfad.key
    fail  socket  /run/mfad/pam.sock must be a socket of root's with mode 0600
                  → sudo systemctl restart mfad.socket
    ok    fido2   security keys are not offered: only systemd starts the helper that asks them
    "#);
}

#[test]
fn a_helper_that_nobody_starts_is_noticed() {
    let root = machine();
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    let fido2 = || {
        let findings = files::examine(root.path());
        let found = findings
            .into_iter()
            .find(|finding| finding.check == "fido2");
        found.unwrap().verdict
    };
    assert_eq!(fido2(), Verdict::Warn);
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("run/mfad/fido.sock"));
    assert_eq!(fido2(), Verdict::Ok);
}

#[test]
fn a_sealed_key_stands_in_for_the_key_file() {
    let root = machine();
    fs::remove_file(root.path().join("etc/mfa/mfad.key")).unwrap();
    write(&root, "etc/mfa/mfad.key.cred", "", 0o600);
    let key = files::examine(root.path())
        .into_iter()
        .find(|finding| finding.check == "key")
        .unwrap();
    assert_eq!(key.verdict, Verdict::Ok, "{key:?}");
}

#[test]
fn a_clock_is_judged_by_its_source_and_by_the_files_around_it() {
    let verdict = |newest, synchronised| clock::judge(1_000_000, newest, synchronised).verdict;
    assert_eq!(verdict(Some(1_000_100), Some(true)), Verdict::Ok);
    assert_eq!(verdict(None, Some(false)), Verdict::Warn);
    assert_eq!(verdict(None, None), Verdict::Warn);
    assert_eq!(verdict(Some(1_000_121), Some(true)), Verdict::Fail);
}

/// A machine whose sshd has the stack that is shipped, and these settings.
fn machine_with_sshd(settings: &str) -> TempDir {
    let root = machine();
    let stack =
        include_str!("../../../../packaging/pam/sshd-key").replace("@include common-", "# ");
    write(&root, "etc/pam.d/sshd", &stack, 0o644);
    fs::create_dir_all(root.path().join("usr/sbin")).unwrap();
    write(&root, "settings", settings, 0o644);
    let script = format!(
        "#!/bin/sh\nexec cat {}\n",
        root.path().join("settings").display()
    );
    write(&root, "usr/sbin/sshd", &script, 0o755);
    root
}

/// Those of sshd's findings that are not about modules, of which this machine has none but ours.
fn of_sshd(root: &TempDir) -> Vec<Finding> {
    sshd::examine(root.path(), sshd::PATIENCE)
        .into_iter()
        .filter(|finding| finding.check == "sshd" && !finding.detail.contains("does not exist"))
        .filter(|finding| !finding.detail.contains("no way through"))
        .collect()
}

#[test]
fn an_sshd_that_asks_is_in_order() {
    let root = machine_with_sshd(
        "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
         maxauthtries 6\nauthenticationmethods publickey,keyboard-interactive:pam\nlogingracetime 120\n",
    );
    let findings = of_sshd(&root);
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_sshd_that_a_code_alone_opens_fails() {
    let root = machine_with_sshd(
        "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\npasswordauthentication yes\n\
         maxauthtries 1\nauthenticationmethods any\nlogingracetime 30\n",
    );
    insta::assert_snapshot!(plain(&of_sshd(&root), &root));
}

#[test]
fn a_machine_without_sshd_is_in_order() {
    let findings = sshd::examine(machine().path(), sshd::PATIENCE);
    assert_eq!(findings[0], Finding::ok("sshd", "not installed"));
}

#[test]
fn an_sshd_that_is_not_meant_to_ask_is_not_judged() {
    let root = machine();
    write(
        &root,
        "etc/pam.d/sshd",
        "auth required pam_unix.so\n",
        0o644,
    );
    let findings = sshd::examine(root.path(), sshd::PATIENCE);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, Verdict::Ok, "{findings:?}");
}

#[test]
fn an_sshd_that_fails_or_hangs_is_a_warning_and_not_a_hang() {
    let root = machine();
    fs::create_dir_all(root.path().join("usr/sbin")).unwrap();
    for (script, expected) in [("exit 1", "error in them"), ("exec sleep 60", "no answer")] {
        write(
            &root,
            "usr/sbin/sshd",
            &format!("#!/bin/sh\n{script}\n"),
            0o755,
        );
        let findings = sshd::examine(root.path(), Duration::from_millis(200));
        let unknown = findings
            .iter()
            .find(|finding| finding.detail.contains(expected));
        let unknown = unknown.unwrap_or_else(|| panic!("{findings:?}"));
        assert_eq!(unknown.verdict, Verdict::Warn);
    }
}
