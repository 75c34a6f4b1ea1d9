//! The three ways in which one file takes in another, and what libpam does where it cannot. It reads no line itself.

use super::{Aborted, Reader, shown};
use crate::pam::control::{Action, Control};
use crate::pam::dispatch::Call;
use crate::pam::stack::{Entry, Fault, Phase, Place};

/// libpam's limit on substacks in one another.
const DEEPEST_SUBSTACK: usize = 16;
/// Files that include one another, in all; no real stack comes near.
const DEEPEST: usize = 32;

impl Reader<'_> {
    /// `auth include FILE` and `auth substack FILE`: its lines of that phase; if it cannot be read, a line that refuses.
    pub(super) fn include(
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
    pub(super) fn debian_include(
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
        let outcome = self.open_included(&file, place, wanted, level, stacks);
        let (Err(Aborted), Some(phase)) = (&outcome, wanted) else {
            return outcome.inspect_err(|_| {
                let what = format!(
                    "“{}” cannot be included, so that this file is given up",
                    shown(&file)
                );
                self.fault(&place.file, place.line, Fault::Line(what));
            });
        };
        // Inside of an include of one phase, 1.5.2 adds a line whose control field it never sets: what was in memory
        // there decides, even that the failure is ignored.
        let what = format!(
            "“{}” cannot be included: libpam then does here whatever its memory happens to say",
            shown(&file)
        );
        self.fault(&place.file, place.line, Fault::Unclear(what));
        stacks[phase as usize].push(Entry {
            call: Call::Fail,
            level,
            control: Control::always(Action::Bad),
            module: String::new(),
            arguments: Vec::new(),
            quiet: false,
            place: place.clone(),
        });
        Ok(())
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
