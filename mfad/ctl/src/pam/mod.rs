//! PAM on this machine: what its stacks do, which ways lead around the second factor, and changing them without fear.
//! This file joins the parts; it decides nothing.

mod control;
mod dispatch;
mod lines;
mod stack;
mod tree;

use std::path::Path;

pub use stack::Place;
pub use tree::Tree;

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
