//! Puts the stacks into place, a durable step at a time. Ended after any of them, every stack is the old one or the new
//! one, and `rollback` brings the old ones back.

use std::io;

use super::journal::{self, Copy, Journal, Record};
use super::plan::Plan;
use super::timer;
use crate::failure::Failure;
use crate::pam::tree::Tree;

/// What has just become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The directory is there.
    Prepared,
    /// A copy of a stack is kept.
    Kept(String),
    /// It is written down what will be done.
    Begun,
    /// The clock runs.
    Armed,
    /// One stack is in place.
    Placed(String),
}

/// Does it. `passed` is told of each step; its error ends everything there, as a killed process would.
pub(super) fn apply(
    tree: &Tree,
    journal: &Journal,
    record: &Record,
    plan: &Plan,
    passed: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<(), Failure> {
    journal.prepare(record)?;
    passed(Step::Prepared)?;
    for change in &plan.changes {
        let before = change.before.as_deref().unwrap_or_default();
        journal.keep(record, &change.service, Copy::Before, before.as_bytes())?;
        journal.keep(
            record,
            &change.service,
            Copy::After,
            change.after.as_bytes(),
        )?;
        passed(Step::Kept(change.service.clone()))?;
    }
    journal.begin(record)?;
    passed(Step::Begun)?;
    if let Err(failure) = timer::arm(tree) {
        // Nothing is changed yet, and nothing may be without a clock that takes it back.
        journal.forget_pending()?;
        return Err(failure);
    }
    passed(Step::Armed)?;
    for (change, item) in plan.changes.iter().zip(&record.items) {
        let path = tree.below(&format!("/etc/pam.d/{}", change.service));
        let owner = Some((item.uid, item.gid));
        journal::put(&path, change.after.as_bytes(), item.mode, owner)?;
        passed(Step::Placed(change.service.clone()))?;
    }
    Ok(())
}
