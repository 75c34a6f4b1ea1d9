//! Puts a service's stacks together from its files, line by line, as libpam does. It notes what cannot be read, and
//! judges nothing.

mod include;

use super::{DIRECTORIES, Entry, Fault, OTHER, Phase, Place, Service};
use crate::pam::control::{Action, Control};
use crate::pam::dispatch::Call;
use crate::pam::lines::{self, Trouble};
use crate::pam::tree::{Read, Tree};

/// Most lines of a service, in all its stacks.
const MOST_LINES: usize = 1024;

/// libpam gives the file up.
struct Aborted;

pub(super) struct Reader<'a> {
    tree: &'a Tree,
    faults: Vec<(Place, Fault)>,
    files: Vec<Read>,
    included: Vec<String>,
    /// Files being read, the innermost last.
    open: Vec<String>,
    lines: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            faults: Vec::new(),
            files: Vec::new(),
            included: Vec::new(),
            open: Vec::new(),
            lines: 0,
        }
    }

    pub(super) fn finish(
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
    pub(super) fn service(&mut self, name: &str, stacks: &mut [Vec<Entry>; 4]) -> bool {
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
    pub(super) fn single_file(
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
        let control = words.next();
        let is = |word: &str| {
            control
                .as_ref()
                .is_some_and(|control| control.eq_ignore_ascii_case(word))
        };
        if is("include") || is("substack") {
            self.include(entry, words.next(), phase, is("substack"), stacks);
            return Ok(());
        }
        self.module(&mut entry, control, words);
        stacks[phase as usize].push(entry);
        Ok(())
    }

    /// The rest of a line that runs a module: control field, module and arguments.
    fn module(
        &mut self,
        entry: &mut Entry,
        control: Option<String>,
        mut words: impl Iterator<Item = String>,
    ) {
        let Some(control) = control else {
            entry.call = Call::Fail;
            return self.broken(entry, "the line has no control word".to_owned());
        };
        entry.control = self.control(entry, &control);
        if let Some(module) = words.next() {
            entry.module = module;
        } else {
            entry.call = Call::Fail;
            self.broken(entry, "the line names no module".to_owned());
        }
        entry.arguments = words.collect();
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
}

fn shown(text: &str) -> String {
    mfad_protocol::printable(text)
}
