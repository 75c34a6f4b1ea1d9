//! What `mfactl pam check` finds, as lines of the doctor's: sshd's by themselves, everybody else's as one. It judges
//! nothing by itself.

use std::path::Path;
use std::time::Duration;

use super::Finding;
use crate::pam::check::{self, Report};
use crate::pam::{Finding as Found, Severity, Tree};

pub(super) use crate::pam::sshd::PATIENCE;

const PROGRAM: &str = "usr/sbin/sshd";

/// Checks the stacks, sshd and sudoers below `root`.
pub(super) fn examine(root: &Path, patience: Duration) -> Vec<Finding> {
    let report = check::examine(&Tree::new(root), patience);
    let mut findings = sshd(root, &report);
    findings.extend(stacks(&report));
    findings
}

fn sshd(root: &Path, report: &Report) -> Vec<Finding> {
    // What it includes counts: Debian's common-* files, after pam-auth-update.
    let asks = report.services.iter().any(|service| service == "sshd");
    if !asks && !report.findings.iter().any(is_of_sshd) {
        return vec![Finding::ok(
            "sshd",
            "not judged: its PAM stack does not name pam_mfa.so",
        )];
    }
    if !root.join(PROGRAM).exists() {
        return vec![Finding::ok("sshd", "not installed")];
    }
    let findings: Vec<Finding> = report
        .findings
        .iter()
        .filter(|found| is_of_sshd(found))
        .filter_map(line)
        .collect();
    if findings.is_empty() {
        return vec![Finding::ok("sshd", "asks by keyboard-interactive and PAM")];
    }
    findings
}

fn is_of_sshd(found: &Found) -> bool {
    found.service == "sshd"
}

fn line(found: &Found) -> Option<Finding> {
    let place = found.place.as_ref().map(|place| format!("{place}: "));
    let detail = format!("{}{}", place.unwrap_or_default(), found.what);
    match found.severity {
        Severity::Hole => Some(Finding::fail("sshd", detail, &found.instead)),
        Severity::Risk => Some(Finding::warn("sshd", detail, &found.instead)),
        Severity::Note => None,
    }
}

/// The other services: how many findings, and who tells them.
fn stacks(report: &Report) -> Option<Finding> {
    const NEXT: &str = "sudo mfactl pam check";
    if report.services.is_empty() {
        return None;
    }
    let count = |severity| {
        report
            .findings
            .iter()
            .filter(|found| !is_of_sshd(found) && found.severity == severity)
            .count()
    };
    let (holes, risks) = (count(Severity::Hole), count(Severity::Risk));
    let detail = format!("holes: {holes}, risks: {risks}, besides sshd's");
    Some(match (holes, risks) {
        (0, 0) => Finding::ok("ways", "no way around the second factor was found"),
        (0, _) => Finding::warn("ways", detail, NEXT),
        _ => Finding::fail("ways", detail, NEXT),
    })
}
