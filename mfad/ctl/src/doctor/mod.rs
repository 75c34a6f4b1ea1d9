//! Finds out what is out of order on this machine and says what to do about it. It reads and asks; it changes nothing.

mod clock;
mod files;
mod sshd;

use std::fmt::Write as _;

use nix::unistd::geteuid;
use serde_json::{Value, json};

use crate::client::failure;
use crate::command::Console;
use crate::failure::{Failure, UNREACHABLE_HINT};
use crate::render;
use crate::rules;
use crate::terminal::{Terminal, Tone};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// In order.
    Ok,
    /// Works, or could not be checked; worth a look.
    Warn,
    /// Logins or their safety depend on it, and it is out of order.
    Fail,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Warn => Tone::Caution,
            Self::Fail => Tone::Bad,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    next: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            detail: detail.into(),
            next: None,
        }
    }

    fn warn(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Warn,
            detail: detail.into(),
            next: Some(next.into()),
        }
    }

    fn fail(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(check, detail, next)
        }
    }

    fn json(&self) -> Value {
        json!({
            "check": self.check,
            "verdict": self.verdict.word(),
            "detail": self.detail,
            "next": self.next,
        })
    }
}

/// `mfactl doctor`.
pub async fn run(console: &mut Console<'_>) -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Err(Failure::NeedsRoot {
            command: format!("sudo mfactl {}", console.arguments),
        });
    }
    let mut findings = files::examine(&console.root);
    findings.push(policy(console));
    findings.extend(daemon(console).await);
    findings.push(clock::examine(&console.root, console.now));
    findings.extend(sshd::examine(&console.root, sshd::PATIENCE));
    let text = table(&findings, console.terminal);
    let worst = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let (failed, warned) = (worst(Verdict::Fail), worst(Verdict::Warn));
    let list: Vec<Value> = findings.iter().map(Finding::json).collect();
    console.show(
        &json!({"ok": !failed, "warnings": warned, "findings": list}),
        &text,
    )?;
    if failed {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

fn policy(console: &Console<'_>) -> Finding {
    let report = rules::installed(&console.root);
    match report.mistakes.as_slice() {
        [] => Finding::ok(
            "policy",
            format!("files: {}, rules: {}", report.files.len(), report.rules),
        ),
        [first, ..] => Finding::fail(
            "policy",
            format!("{} ({} in all)", first.line, report.mistakes.len()),
            "sudo mfactl policy check",
        ),
    }
}

/// The daemon, and what it says about its store, key and configuration.
async fn daemon(console: &Console<'_>) -> Vec<Finding> {
    let asked = async {
        let proxy = console.client.administration().await?;
        proxy.status().await.map_err(failure)
    };
    match asked.await {
        Ok(status) => {
            let mut findings = vec![Finding::ok(
                "daemon",
                render::daemon(&status, &console.zone),
            )];
            findings.extend(status.problems.iter().map(|problem| {
                Finding::fail("daemon", render::shown(problem), "journalctl -u mfad")
            }));
            findings
        }
        Err(error) => vec![Finding::fail("daemon", error.to_string(), UNREACHABLE_HINT)],
    }
}

/// A line for each finding, and what to do next below those that are not in order.
fn table(findings: &[Finding], terminal: &Terminal) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        // The padding stays outside of the colour, which would count as columns.
        let word = finding.verdict.word();
        let padding = " ".repeat(4 - word.len());
        let word = terminal.tint(finding.verdict.tone(), word);
        let _ = writeln!(
            text,
            "{word}{padding}  {:width$}  {}",
            finding.check, finding.detail
        );
        if let Some(next) = &finding.next {
            let _ = writeln!(text, "{:indent$}→ {next}", "", indent = width + 8);
        }
    }
    text
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
