//! `mfactl pam install`, `confirm` and `rollback`: changing stacks so that nobody is locked out for longer than some
//! minutes. This file is the order of things; what each does is in its own.

pub(crate) mod admins;
mod apply;
mod diff;
mod journal;
mod plan;
mod proof;
mod timer;
mod undo;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::thread;

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

/// What is told of a file that could not be read or changed.
fn about(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| refused(format!("{}: {error}.", path.display()))
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
    if wanted.apply {
        console.must_be_confirmable()?;
    }
    let tree = Tree::new(&console.root);
    let journal = Journal::below(&console.root);
    none_may_wait(&journal)?;
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
    let names = plan.names();
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
    put_into_place(&tree, &journal, &plan, wanted.minutes)?;
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

fn none_may_wait(journal: &Journal) -> Result<(), Failure> {
    if journal.pending()?.is_none() {
        return Ok(());
    }
    Err(refused(
        "An installation waits for its confirmation: `mfactl pam confirm` or `mfactl pam rollback` first.",
    ))
}

/// Does it, alone, and takes it back at once if it cannot be finished or leaves a way around.
fn put_into_place(
    tree: &Tree,
    journal: &Journal,
    plan: &plan::Plan,
    minutes: u32,
) -> Result<(), Failure> {
    journal.create()?;
    let _lock = journal.lock(journal::PATIENCE)?;
    // The question may have stood there for long.
    none_may_wait(journal)?;
    plan.must_hold(tree)?;
    let mut record = plan.record(undo::wall(), &Moment::now()?, minutes);
    apply::apply(tree, journal, &record, plan, &mut |_| Ok(()))
        .map_err(|failure| taken_back(tree, journal, &failure.to_string()))?;
    // Only from now on a login goes through them.
    record.applied = undo::wall();
    journal
        .begin(&record)
        .map_err(|error| taken_back(tree, journal, &error.to_string()))?;
    let report = check::examine(tree, sshd::PATIENCE);
    match worst_of(&report.findings, &plan.names()) {
        Some(hole) => Err(taken_back(
            tree,
            journal,
            &format!("as installed, {}.", hole.what),
        )),
        None => Ok(()),
    }
}

/// Takes back what could not stay, and tells why and what came of it.
fn taken_back(tree: &Tree, journal: &Journal, why: &str) -> Failure {
    // Without one that waits, what was confirmed before would be taken back.
    let restored = journal.pending().and_then(|waiting| {
        waiting.map_or(Ok(Vec::new()), |_| undo::rollback(tree, journal, false))
    });
    match restored {
        Ok(_) => {
            timer::disarm(tree);
            refused(format!("The old stacks are in place: {why}"))
        }
        // The clock goes on, and tries again.
        Err(failure) => refused(format!(
            "{why} Taking the new stacks back failed too: {failure} Keep this shell open, and run `mfactl pam rollback`."
        )),
    }
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
    let names = plan.names();
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
    let _lock = journal.lock(journal::PATIENCE)?;
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
    let strangers = undo::strangers(&tree, &journal, &record)?;
    if !strangers.is_empty() {
        return Err(refused(format!(
            "Not as they were installed (edited since, or never put into place): {}. `mfactl pam rollback`, then install again.",
            strangers.join(", ")
        )));
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
    loop {
        let done = take_back(console, wanted, &tree, &journal);
        // Nobody starts the process that waits a second time, and what failed (a full disk) may be over in a moment.
        if done.is_ok() || !wanted.when_due || !undo::is_left(&tree, &journal) {
            return done;
        }
        thread::sleep(undo::INTERVAL);
    }
}

fn take_back(
    console: &mut Console<'_>,
    wanted: &RollbackArgs,
    tree: &Tree,
    journal: &Journal,
) -> Result<(), Failure> {
    if wanted.when_due {
        undo::wait(journal)?;
    }
    let _lock = journal.lock(journal::PATIENCE)?;
    if wanted.when_due || wanted.overdue {
        // Somebody may have confirmed meanwhile.
        match journal.pending()? {
            Some(record) if undo::is_due(&record, undo::wall(), &undo::here()) => {}
            Some(_) => return Ok(()),
            None => {
                timer::disarm(tree);
                return Ok(());
            }
        }
    }
    let restored = undo::rollback(tree, journal, wanted.force);
    // Also where somebody's edits were left: the clock would say so every few seconds, for ever. Not where a stack could
    // not be put back: the clock tries again.
    if !undo::is_left(tree, journal) {
        timer::disarm(tree);
    }
    let restored = restored?;
    let text = if restored.is_empty() {
        "Nothing to take back.\n".to_owned()
    } else {
        format!("The old stacks are back: {}.\n", restored.join(", "))
    };
    console.show(&json!({"restored": restored}), &text)
}
