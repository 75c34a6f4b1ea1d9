//! The stacks of a service as libpam puts them together from its files. It judges nothing but what cannot be read.

mod reader;

use std::fmt;

use self::reader::Reader;
use super::control::Control;
use super::dispatch::{Call, Step};
use super::tree::Tree;

const OTHER: &str = "other";
const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

/// Which of a service's four stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Auth,
    Account,
    Session,
    Password,
}

impl Phase {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Auth, Self::Account, Self::Session, Self::Password];

    /// Its word at the beginning of a line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
            Self::Password => "password",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|phase| word.eq_ignore_ascii_case(phase.word()))
    }
}

/// A file and a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Path on the machine.
    pub file: String,
    /// From 1; 0 for the file as a whole.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = mfad_protocol::printable(&self.file);
        match self.line {
            0 => f.write_str(&file),
            line => write!(f, "{file}:{line}"),
        }
    }
}

/// A line of a stack.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    call: Call,
    level: usize,
    control: Control,
    /// As it is written; empty if the line cannot be read.
    pub(super) module: String,
    pub(super) arguments: Vec<String>,
    /// The line says, by a dash, that the module may be missing.
    pub(super) quiet: bool,
    pub(super) place: Place,
}

impl Entry {
    /// The module's file name, without directories.
    pub(super) fn name(&self) -> &str {
        self.module.rsplit('/').next().unwrap_or_default()
    }
}

impl Step for Entry {
    fn call(&self) -> Call {
        self.call
    }
    fn level(&self) -> usize {
        self.level
    }
    fn control(&self) -> &Control {
        &self.control
    }
}

/// What is wrong with the files themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// libpam cannot start the service: everybody is refused.
    Abort(String),
    /// A file includes itself: the host crashes, or repeats it to a depth.
    Cycle(String),
    /// The line refuses everybody who comes to it.
    Line(String),
    /// What libpam makes of it cannot be told.
    Unclear(String),
    /// It is there, and this process may not read it.
    Unread,
}

/// A service's stacks.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    stacks: [Vec<Entry>; 4],
    borrowed: [bool; 4],
    pub(super) faults: Vec<(Place, Fault)>,
    /// Every file that was read for it.
    pub(super) files: Vec<super::tree::Read>,
    /// Files that it includes, as they are named.
    pub(super) included: Vec<String>,
    /// Has a file of its own.
    pub(super) own: bool,
}

impl Service {
    /// Reads a service as libpam does for a host that asks for `name`.
    pub(super) fn read(tree: &Tree, name: &str) -> Self {
        // libpam makes the name small before it looks for the file.
        let name = name.to_ascii_lowercase();
        let mut reader = Reader::new(tree);
        let mut stacks: [Vec<Entry>; 4] = Default::default();
        if DIRECTORIES.iter().any(|directory| tree.exists(directory)) {
            let own = reader.service(&name, &mut stacks);
            if name != OTHER {
                let mut others: [Vec<Entry>; 4] = Default::default();
                reader.service(OTHER, &mut others);
                return reader.finish(name, stacks, others, own);
            }
            return reader.finish(name, stacks, Default::default(), own);
        }
        let mut others: [Vec<Entry>; 4] = Default::default();
        reader.single_file(&name, &mut stacks, &mut others);
        reader.finish(name, stacks, others, true)
    }

    /// The lines of a phase in force: those of `other` if the service has none.
    pub(super) fn stack(&self, phase: Phase) -> &[Entry] {
        &self.stacks[phase as usize]
    }

    /// Whether a phase has no lines of its own.
    pub(super) fn is_borrowed(&self, phase: Phase) -> bool {
        self.borrowed[phase as usize]
    }

    /// Whether libpam refuses to start it.
    pub(super) fn aborts(&self) -> bool {
        self.faults
            .iter()
            .any(|(_, fault)| matches!(fault, Fault::Abort(_)))
    }
}
