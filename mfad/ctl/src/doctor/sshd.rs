//! Does sshd ask for the second factor at all? It runs `sshd -T`, which prints the settings in force, and warns.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mfad_protocol::{limits, printable};

use super::Finding;
use super::files::sshd_stack_with_the_module;

/// How long `sshd -T` may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Most of its output that is read, in bytes.
const OUTPUT: u64 = 256 * 1024;
const PROGRAM: &str = "/usr/sbin/sshd";

/// Checks the sshd below `root`, where there is one.
pub(super) fn examine(root: &Path, patience: Duration) -> Vec<Finding> {
    let Some(stack) = sshd_stack_with_the_module(root) else {
        return vec![Finding::ok(
            "sshd",
            "not judged: its PAM stack does not name pam_mfa.so",
        )];
    };
    let program = root.join(PROGRAM.trim_start_matches('/'));
    if fs::metadata(&program).is_err() {
        return vec![Finding::ok("sshd", "not installed")];
    }
    match settings(&program, patience) {
        Ok(text) => judge(&text, &stack),
        Err(what) => vec![Finding::warn(
            "sshd",
            format!("its settings cannot be read: {what}"),
            "sudo sshd -T",
        )],
    }
}

/// What `sshd -T` prints, or why it does not.
fn settings(program: &Path, patience: Duration) -> Result<String, String> {
    let mut child = Command::new(program)
        .arg("-T")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = child.stdout.take();
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.map_or(Ok(0), |output| {
            output.take(OUTPUT).read_to_string(&mut text)
        });
        // The receiver may have lost its patience.
        let _ = done.send(read.map(|_| text));
    });
    let text = finished.recv_timeout(patience);
    // It has closed its output and ends, or it hangs and must.
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match text {
        Err(_) => Err(format!("no answer within {patience:?}")),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(_)) if !status.success() => Err("sshd finds an error in them".to_owned()),
        Ok(Ok(text)) => Ok(text),
    }
}

/// Whether the auth lines of a stack hold our module and nothing that asks for a password (files that they include are
/// taken to ask for one).
fn asks_for_a_code_alone(stack: &str) -> bool {
    let lines = || {
        stack
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
    };
    let auth = || lines().filter(|line| line.trim_start_matches('-').starts_with("auth"));
    let ours = auth().any(|line| line.contains("pam_mfa.so"));
    let includes = lines().any(|line| line.starts_with("@include common-auth"))
        || auth().any(|line| line.contains("include") || line.contains("substack"));
    let password = [
        "pam_unix",
        "pam_sss",
        "pam_ldap",
        "pam_krb5",
        "pam_winbind",
        "after=password",
    ];
    let asked = auth().any(|line| password.iter().any(|module| line.contains(module)));
    ours && !includes && !asked
}

/// Whether each way that `AuthenticationMethods` allows begins with something stronger than keyboard-interactive.
fn always_wants_a_key(methods: &str) -> bool {
    methods.split(' ').all(|way| {
        let first = way.split(',').next().unwrap_or_default();
        first.starts_with("publickey")
            || first.starts_with("hostbased")
            || first.starts_with("gssapi")
    })
}

/// Judges the output of `sshd -T`, one setting a line, its name in small letters, beside the auth lines of sshd's PAM
/// stack.
pub(super) fn judge(text: &str, stack: &str) -> Vec<Finding> {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value.trim())
    };
    let number = |name: &str| value(name).parse::<u64>().ok();
    let mut findings = Vec::new();
    let mut warn = |detail: String, next: &str| findings.push(Finding::warn("sshd", detail, next));
    if value("usepam") != "yes" {
        warn(
            "UsePAM is off: sshd asks for no second factor".to_owned(),
            "UsePAM yes",
        );
    }
    if value("kbdinteractiveauthentication") != "yes" {
        warn(
            "KbdInteractiveAuthentication is off: nobody can be asked for a code".to_owned(),
            "KbdInteractiveAuthentication yes",
        );
    }
    if value("passwordauthentication") == "yes" {
        warn(
            "PasswordAuthentication is on: that method cannot ask for a code, and such logins are refused".to_owned(),
            "PasswordAuthentication no (keyboard-interactive asks for the password)",
        );
    }
    let methods = value("authenticationmethods");
    if asks_for_a_code_alone(stack) && !always_wants_a_key(methods) {
        findings.push(Finding::fail(
            "sshd",
            "sshd's PAM stack asks for a code and no password, and sshd does not want a key before it: the code alone \
             logs in"
                .to_owned(),
            "AuthenticationMethods publickey,keyboard-interactive:pam (in every Match block too)",
        ));
    }
    let mut warn = |detail: String, next: &str| findings.push(Finding::warn("sshd", detail, next));
    if !methods
        .split([' ', ','])
        .any(|method| method.starts_with("keyboard-interactive"))
    {
        warn(
            format!(
                "AuthenticationMethods is “{}”: a login by public key alone meets no prompt, and the account guard refuses it",
                printable(methods)
            ),
            "AuthenticationMethods publickey,keyboard-interactive:pam",
        );
    }
    if number("maxauthtries").is_some_and(|tries| tries < 2) {
        warn(
            "MaxAuthTries leaves no second try after a mistyped code".to_owned(),
            "MaxAuthTries 4",
        );
    }
    let dialogue = limits::DIALOGUE.as_secs();
    match number("logingracetime") {
        Some(0) => warn(
            "LoginGraceTime is unlimited: unfinished logins pile up".to_owned(),
            "LoginGraceTime 60",
        ),
        Some(grace) if grace <= dialogue => warn(
            format!(
                "LoginGraceTime ({grace} s) ends before a person's {dialogue} s for the code are over"
            ),
            "LoginGraceTime 60",
        ),
        _ => {}
    }
    if findings.is_empty() {
        findings.push(Finding::ok("sshd", "asks by keyboard-interactive and PAM"));
    }
    findings
}
