//! The stacks of a service as libpam puts them together from its files. It judges nothing but what cannot be read.

use std::fmt;

use super::control::{Action, Control};
use super::dispatch::{Call, Step};
use super::lines::{self, Trouble};
use super::tree::Tree;

/// Most lines of a service, in all its stacks.
const MOST_LINES: usize = 1024;
/// libpam's limit on substacks in one another.
const DEEPEST_SUBSTACK: usize = 16;
/// Files that include one another, in all; no real stack comes near.
const DEEPEST: usize = 32;
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

/// libpam gives the file up.
struct Aborted;

struct Reader<'a> {
    tree: &'a Tree,
    faults: Vec<(Place, Fault)>,
    files: Vec<super::tree::Read>,
    included: Vec<String>,
    /// Files being read, the innermost last.
    open: Vec<String>,
    lines: usize,
}

impl<'a> Reader<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            faults: Vec::new(),
            files: Vec::new(),
            included: Vec::new(),
            open: Vec::new(),
            lines: 0,
        }
    }

    fn finish(
        self,
        name: String,
        mut stacks: [Vec<Entry>; 4],
        others: [Vec<Entry>; 4],
        own: bool,
    ) -> Service {
        let mut borrowed = [false; 4];
        for ((stack, other), borrowed) in stacks.iter_mut().zip(others).zip(&mut borrowed) {
            if stack.is_empty() {
                *borrowed = true;
                *stack = other;
            }
        }
        Service {
            name,
            stacks,
            borrowed,
            faults: self.faults,
            files: self.files,
            included: self.included,
            own,
        }
    }

    fn fault(&mut self, file: &str, line: u32, fault: Fault) {
        let place = Place {
            file: file.to_owned(),
            line,
        };
        if !self
            .faults
            .iter()
            .any(|known| known.0 == place && known.1 == fault)
        {
            self.faults.push((place, fault));
        }
    }

    /// Reads the file of a service; whether there is one.
    fn service(&mut self, name: &str, stacks: &mut [Vec<Entry>; 4]) -> bool {
        let Some(path) = self.find(name) else {
            return false;
        };
        let given_up = self.file(&path, None, 0, stacks).is_err();
        let unread = self.faults.iter().any(|(_, fault)| *fault == Fault::Unread);
        if given_up && !unread {
            self.fault(
                &path,
                0,
                Fault::Abort("libpam gives this file up".to_owned()),
            );
        }
        true
    }

    fn find(&self, name: &str) -> Option<String> {
        if name.starts_with('/') {
            return self.tree.exists(name).then(|| name.to_owned());
        }
        DIRECTORIES
            .iter()
            .map(|directory| format!("{directory}/{name}"))
            .find(|path| self.tree.exists(path))
    }

    fn file(
        &mut self,
        path: &str,
        wanted: Option<Phase>,
        level: usize,
        stacks: &mut [Vec<Entry>; 4],
    ) -> Result<(), Aborted> {
        let Some(text) = self.tree.read(path) else {
            self.fault(path, 0, Fault::Unread);
            return Err(Aborted);
        };
        let (lines, troubles) = lines::logical(&text.text);
        if !self.files.iter().any(|known| known.path == text.path) {
            self.files.push(text);
        }
        let mut ends = false;
        for trouble in troubles {
            ends |= self.trouble(path, trouble);
        }
        self.open.push(path.to_owned());
        let mut outcome = Ok(());
        for line in lines {
            let words = lines::words(&line.text);
            let place = Place {
                file: path.to_owned(),
                line: line.number,
            };
            outcome = self.line(words, place, wanted, level, stacks);
            if outcome.is_err() {
                break;
            }
        }
        self.open.pop();
        if ends { Err(Aborted) } else { outcome }
    }

    /// Notes what is doubtful; whether libpam stops there.
    fn trouble(&mut self, path: &str, trouble: Trouble) -> bool {
        match trouble {
            Trouble::EndsInJoin(line) => {
                let what = "the file ends in a line that a backslash continues, and is given up"
                    .to_owned();
                self.fault(path, line, Fault::Line(what));
                true
            }
            Trouble::TooLong(line) => {
                let what =
                    "the line is so long that versions of libpam cut it differently".to_owned();
                self.fault(path, line, Fault::Unclear(what));
                false
            }
            Trouble::Nul(line) => {
                let what = "there is a NUL byte, at which libpam stops reading the line".to_owned();
                self.fault(path, line, Fault::Unclear(what));
                false
            }
        }
    }

    /// `/etc/pam.conf`: the service's name is the first word of each line.
    fn single_file(
        &mut self,
        name: &str,
        stacks: &mut [Vec<Entry>; 4],
        others: &mut [Vec<Entry>; 4],
    ) {
        const PATH: &str = "/etc/pam.conf";
        let Some(text) = self.tree.read(PATH) else {
            return;
        };
        let (lines, troubles) = lines::logical(&text.text);
        self.files.push(text);
        let mut aborted = false;
        for trouble in troubles {
            aborted |= self.trouble(PATH, trouble);
        }
        for line in lines {
            let mut words = lines::words(&line.text);
            if words.is_empty() {
                continue;
            }
            let service = words.remove(0);
            let place = Place {
                file: PATH.to_owned(),
                line: line.number,
            };
            let stacks = if service.eq_ignore_ascii_case(OTHER) {
                &mut *others
            } else if service.eq_ignore_ascii_case(name) {
                &mut *stacks
            } else {
                continue;
            };
            aborted |= self.line(words, place, None, 0, stacks).is_err();
        }
        if aborted {
            self.fault(
                PATH,
                0,
                Fault::Abort("libpam gives this file up".to_owned()),
            );
        }
    }

    fn line(
        &mut self,
        words: Vec<String>,
        place: Place,
        wanted: Option<Phase>,
        level: usize,
        stacks: &mut [Vec<Entry>; 4],
    ) -> Result<(), Aborted> {
        self.lines += 1;
        if self.lines > MOST_LINES {
            let what = format!("more than {MOST_LINES} lines");
            self.fault(&place.file, place.line, Fault::Unclear(what));
            return Err(Aborted);
        }
        let mut words = words.into_iter();
        let first = words.next().unwrap_or_default();
        let (quiet, kind) = match first.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, first.as_str()),
        };
        if kind.eq_ignore_ascii_case("@include") {
            return self.debian_include(words.next(), &place, wanted, level, stacks);
        }
        let known = Phase::from_word(kind);
        let phase = known.or(wanted).unwrap_or(Phase::Auth);
        if wanted.is_some_and(|wanted| wanted != phase) {
            return Ok(());
        }
        let mut entry = Entry {
            call: if known.is_some() {
                Call::Module
            } else {
                Call::Fail
            },
            level,
            control: Control::always(Action::Bad),
            module: String::new(),
            arguments: Vec::new(),
            quiet,
            place,
        };
        if known.is_none() {
            self.broken(
                &entry,
                format!(
                    "“{}” is none of auth, account, session, password",
                    shown(kind)
                ),
            );
        }
        match words.next() {
            None => {
                entry.call = Call::Fail;
                self.broken(&entry, "the line has no control word".to_owned());
            }
            Some(word) if word.eq_ignore_ascii_case("include") => {
                self.include(entry, words.next(), phase, false, stacks);
                return Ok(());
            }
            Some(word) if word.eq_ignore_ascii_case("substack") => {
                self.include(entry, words.next(), phase, true, stacks);
                return Ok(());
            }
            Some(word) => {
                entry.control = self.control(&entry, &word);
                if let Some(module) = words.next() {
                    entry.module = module;
                } else {
                    entry.call = Call::Fail;
                    self.broken(&entry, "the line names no module".to_owned());
                }
                entry.arguments = words.collect();
            }
        }
        stacks[phase as usize].push(entry);
        Ok(())
    }

    fn control(&mut self, entry: &Entry, word: &str) -> Control {
        if let Some(control) = Control::from_word(word) {
            return control;
        }
        Control::from_pairs(word).unwrap_or_else(|rest| {
            self.broken(
                entry,
                format!(
                    "the control field cannot be read from “{}” on, so that even success refuses",
                    shown(&rest)
                ),
            );
            Control::always(Action::Bad)
        })
    }

    fn broken(&mut self, entry: &Entry, what: String) {
        self.fault(&entry.place.file, entry.place.line, Fault::Line(what));
    }

    /// `auth include FILE` and `auth substack FILE`: its lines of that phase; if it cannot be read, a line that refuses.
    fn include(
        &mut self,
        mut entry: Entry,
        file: Option<String>,
        phase: Phase,
        substack: bool,
        stacks: &mut [Vec<Entry>; 4],
    ) {
        let level = entry.level + usize::from(substack);
        if substack {
            let mark = Entry {
                call: Call::Substack,
                ..entry.clone()
            };
            stacks[phase as usize].push(mark);
        }
        if let Some(file) = &file
            && level < DEEPEST_SUBSTACK
            && self
                .open_included(file, &entry.place, Some(phase), level, stacks)
                .is_ok()
        {
            return;
        }
        entry.call = Call::Fail;
        let file = file.unwrap_or_default();
        self.broken(&entry, format!("“{}” cannot be included", shown(&file)));
        stacks[phase as usize].push(entry);
    }

    /// Debian's `@include FILE`: all its lines. If it cannot be read, nothing of the service can be started.
    fn debian_include(
        &mut self,
        file: Option<String>,
        place: &Place,
        wanted: Option<Phase>,
        level: usize,
        stacks: &mut [Vec<Entry>; 4],
    ) -> Result<(), Aborted> {
        let Some(file) = file else {
            let what = "@include names no file, which crashes the host program".to_owned();
            self.fault(&place.file, place.line, Fault::Abort(what));
            return Err(Aborted);
        };
        self.open_included(&file, place, wanted, level, stacks)
            .inspect_err(|_| {
                let what = format!(
                    "“{}” cannot be included, so that this file is given up",
                    shown(&file)
                );
                self.fault(&place.file, place.line, Fault::Line(what));
            })
    }

    fn open_included(
        &mut self,
        file: &str,
        place: &Place,
        wanted: Option<Phase>,
        level: usize,
        stacks: &mut [Vec<Entry>; 4],
    ) -> Result<(), Aborted> {
        let Some(path) = self.find(file) else {
            return Err(Aborted);
        };
        if self.open.contains(&path) || self.open.len() > DEEPEST {
            let chain = self
                .open
                .iter()
                .map(|path| shown(path))
                .collect::<Vec<_>>()
                .join(" → ");
            let what = format!(
                "files include one another in a circle: {chain} → {}",
                shown(&path)
            );
            self.fault(&place.file, place.line, Fault::Cycle(what));
            return Err(Aborted);
        }
        if !self.included.iter().any(|known| known == file) {
            self.included.push(file.to_owned());
        }
        self.file(&path, wanted, level, stacks)
    }
}

fn shown(text: &str) -> String {
    mfad_protocol::printable(text)
}
