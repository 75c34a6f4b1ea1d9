//! `mfactl pam install`, `confirm` and `rollback`: changing stacks so that nobody is locked out for longer than some
//! minutes. This file is the order of things; what each does is in its own.

mod admins;
mod apply;
mod diff;
mod journal;
mod plan;
mod proof;
mod timer;
mod undo;

use std::fmt::Write as _;

use nix::unistd::geteuid;
use serde_json::json;

use self::journal::{Journal, Moment};
use super::check;
use super::finding::{Finding, Severity};
use super::sshd;
use super::tree::Tree;
use crate::cli::{InstallArgs, RollbackArgs};
use crate::command::Console;
use crate::failure::{Failure, Refusal};

pub use plan::Choice;

#[cfg(test)]
mod tests;

/// A refusal in the console's terms.
fn refused(text: impl Into<String>) -> Failure {
    Failure::Refused(Refusal::Denied, text.into())
}

fn must_be_root(console: &Console<'_>) -> Result<(), Failure> {
    if geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::NeedsRoot {
        command: format!("sudo mfactl {}", console.arguments),
    })
}

/// `mfactl pam install`.
pub(super) async fn install(
    console: &mut Console<'_>,
    wanted: &InstallArgs,
) -> Result<(), Failure> {
    must_be_root(console)?;
    let tree = Tree::new(&console.root);
    let journal = Journal::below(&console.root);
    if journal.pending()?.is_some() {
        return Err(refused(
            "An installation waits for its confirmation: `mfactl pam confirm` or `mfactl pam rollback` first.",
        ));
    }
    let plan = plan::make(&tree, &wanted.services, wanted.sshd)?;
    if plan.changes.is_empty() {
        return console.show(
            &json!({"applied": false, "changed": []}),
            "Nothing to change: these stacks are in place.\n",
        );
    }
    let findings = ready(console, &tree, &plan).await?;
    let mut text = plan.text();
    for finding in &findings {
        text.push_str(&finding.text(console.terminal));
    }
    let names: Vec<&str> = plan
        .changes
        .iter()
        .map(|change| change.service.as_str())
        .collect();
    if !wanted.apply {
        text.push_str("Nothing was changed. Add --apply to do it; keep a root shell open.\n");
        return console.show(
            &json!({"applied": false, "changed": names, "diff": plan.text()}),
            &text,
        );
    }
    if !console.json {
        console.terminal.print(&text)?;
    }
    console
        .confirm(&format!(
            "Put these stacks into place, for {} minutes until they are confirmed?",
            wanted.minutes
        ))
        .await?;
    let record = plan.record(console.now.as_second(), &Moment::now()?, wanted.minutes);
    apply::apply(&tree, &journal, &record, &plan, &mut |_| Ok(()))?;
    if let Some(hole) = worst_of(&check::examine(&tree, sshd::PATIENCE).findings, &names) {
        undo::rollback(&tree, &journal, false)?;
        return Err(refused(format!("Taken back: as installed, {}", hole.what)));
    }
    let next = format!(
        "In place. They go back in {} minutes unless you confirm them:\n  log in anew by each ({}), with a code, in a second \
         terminal, then there: mfactl pam confirm\nTo take them back at once: mfactl pam rollback\n",
        wanted.minutes,
        names.join(", ")
    );
    console.show(
        &json!({"applied": true, "changed": names, "minutes": wanted.minutes}),
        &next,
    )
}

/// Everything that keeps it from being done; what is only worth knowing comes back.
async fn ready(
    console: &Console<'_>,
    tree: &Tree,
    plan: &plan::Plan,
) -> Result<Vec<Finding>, Failure> {
    if let Err(what) = sshd::test(tree, sshd::PATIENCE) {
        return Err(refused(format!(
            "sshd does not take its configuration ({what}): run `sshd -t` first."
        )));
    }
    if plan.has("sshd") && sshd::is_stale(tree) {
        return Err(refused(
            "sshd_config is newer than the sshd that runs: `systemctl reload ssh` first, or it keeps the old settings.",
        ));
    }
    let staged = plan::stage(tree, plan)?;
    let report = check::examine(&Tree::new(staged.path()), sshd::PATIENCE);
    let names: Vec<&str> = plan
        .changes
        .iter()
        .map(|change| change.service.as_str())
        .collect();
    if let Some(finding) = worst_of(&report.findings, &names) {
        let place = finding
            .place
            .as_ref()
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        return Err(refused(format!(
            "With these stacks there would be a way around, or nobody could get in: {}: {place}{} → {}",
            finding.service, finding.what, finding.instead
        )));
    }
    admins::must_get_in(console, tree, plan).await?;
    Ok(report
        .findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Risk && concerns(finding, &names))
        .collect())
}

/// A hole, or a lock-out of a service that is changed.
fn worst_of<'f>(findings: &'f [Finding], names: &[&str]) -> Option<&'f Finding> {
    findings.iter().find(|finding| {
        concerns(finding, names) && (finding.severity == Severity::Hole || finding.locks_out)
    })
}

fn concerns(finding: &Finding, names: &[&str]) -> bool {
    finding
        .service
        .split(", ")
        .any(|service| names.contains(&service))
}

/// `mfactl pam confirm`.
pub(super) async fn confirm(console: &mut Console<'_>, untried: &[String]) -> Result<(), Failure> {
    must_be_root(console)?;
    let journal = Journal::below(&console.root);
    let Some(record) = journal.pending()? else {
        return Err(refused("There is nothing to confirm."));
    };
    let tree = Tree::new(&console.root);
    if undo::is_due(&record, console.now.as_second(), &Moment::now()?) {
        undo::rollback(&tree, &journal, false)?;
        timer::disarm(&tree);
        return Err(refused(
            "The time for confirming is over: the old stacks are back.",
        ));
    }
    let proven = proof::all(console, &record, untried).await?;
    journal.settle(&record)?;
    timer::disarm(&tree);
    let mut text = String::new();
    for (service, user) in &proven {
        let _ = writeln!(text, "{service}: {user} logged in through it, with a code");
    }
    text.push_str("Confirmed: the stacks stay. The old ones are kept: mfactl pam rollback\n");
    let list: Vec<_> = proven
        .iter()
        .map(|(service, user)| json!({"service": service, "user": user}))
        .collect();
    console.show(&json!({"confirmed": true, "proven": list}), &text)
}

/// `mfactl pam rollback`.
pub(super) fn rollback(console: &mut Console<'_>, wanted: &RollbackArgs) -> Result<(), Failure> {
    must_be_root(console)?;
    let tree = Tree::new(&console.root);
    let journal = Journal::below(&console.root);
    if wanted.when_due {
        undo::wait(&journal)?;
        // Whoever waited may find that somebody confirmed meanwhile.
        let due = journal
            .pending()?
            .filter(|record| undo::is_due(record, undo::wall(), &undo::here()));
        if due.is_none() {
            return Ok(());
        }
    } else if wanted.overdue {
        let now = Moment::now()?;
        match journal.pending()? {
            Some(record) if undo::is_due(&record, console.now.as_second(), &now) => {}
            Some(_) => return Ok(()),
            None => {
                timer::disarm(&tree);
                return Ok(());
            }
        }
    }
    let restored = undo::rollback(&tree, &journal, wanted.force);
    // Also if something was left: the clock would say so every few seconds, for ever.
    timer::disarm(&tree);
    let restored = restored?;
    let text = if restored.is_empty() {
        "Nothing to take back.\n".to_owned()
    } else {
        format!("The old stacks are back: {}.\n", restored.join(", "))
    };
    console.show(&json!({"restored": restored}), &text)
}
