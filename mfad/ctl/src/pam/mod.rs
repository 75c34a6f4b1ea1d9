//! PAM on this machine: what its stacks do, which ways lead around the second factor, and changing them without fear.
//! This file joins the parts; it decides nothing.

pub mod check;
mod control;
mod dispatch;
mod finding;
pub mod install;
mod judge;
mod lines;
mod module;
mod paths;
pub(crate) mod sshd;
mod sshd_config;
mod stack;
mod sudoers;
mod tree;

use std::path::Path;

use crate::cli::PamCommand;
use crate::command::Console;
use crate::failure::Failure;

pub use control::NAMES as RESULTS;
pub use finding::{Finding, Severity, Trail};
pub use stack::Place;
pub use tree::Tree;

/// `mfactl pam …`.
pub async fn run(console: &mut Console<'_>, command: PamCommand) -> Result<(), Failure> {
    match command {
        PamCommand::Check => check::run(console),
        PamCommand::Install(wanted) => install::install(console, &wanted).await,
        PamCommand::Confirm { untried } => install::confirm(console, &untried).await,
        PamCommand::Rollback(wanted) => install::rollback(console, &wanted),
    }
}

/// What libpam returns to a host, as this program works it out: the code of a service's phase (`auth`, `account`,
/// `session`, `password`) where each module answers what `answer` says of its line. `None` if libpam does not start.
///
/// For the test that compares it with libpam itself.
pub fn predict(
    root: &Path,
    service: &str,
    phase: &str,
    answer: impl Fn(&str, &[String], &Place) -> u8,
) -> Option<u8> {
    let tree = Tree::new(root);
    let service = stack::Service::read(&tree, service);
    if service.aborts() {
        return None;
    }
    let phase = stack::Phase::ALL
        .into_iter()
        .find(|known| known.word() == phase)?;
    let entries = service.stack(phase);
    let mut walk = dispatch::Walk::begin(entries);
    while let Some(at) = walk.at(entries) {
        let entry = &entries[at];
        let number = answer(entry.name(), &entry.arguments, &entry.place);
        let code = control::Code::from_number(number)?;
        walk.answer(entries, code);
    }
    Some(walk.result().number())
}
