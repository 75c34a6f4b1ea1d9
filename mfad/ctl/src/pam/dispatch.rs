//! How libpam makes one result of a stack out of its modules' results, a module at a time. It calls no module: whoever
//! asks says what each answers.
//!
//! The rules are Linux-PAM's (`_pam_dispatch_aux`), and a test compares this file with the real libpam over seeded stacks.

use super::control::{Action, Code, Control};

/// What libpam does at a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Runs a module.
    Module,
    /// Fails without running anything: the line cannot be read.
    Fail,
    /// Nothing: what follows at a deeper level is a substack.
    Substack,
}

/// What the walk needs to know of a line.
pub(super) trait Step {
    /// What is called.
    fn call(&self) -> Call;
    /// How many substacks it is in.
    fn level(&self) -> usize;
    /// What follows from its module's result.
    fn control(&self) -> &Control;
}

/// What the walk thinks so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Impression {
    Undefined,
    Positive,
    Negative,
}

/// Somewhere in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Walk {
    next: usize,
    /// Level of the line before.
    previous: usize,
    impression: Impression,
    status: Code,
    /// What was thought when each substack began; the first is the stack's own.
    marks: Vec<(Impression, Code)>,
}

impl Walk {
    /// At the beginning. An empty stack fails at once.
    pub(super) fn begin<S: Step>(stack: &[S]) -> Self {
        let mut walk = Self {
            next: 0,
            previous: 0,
            impression: Impression::Undefined,
            status: Code::PERM_DENIED,
            marks: vec![(Impression::Undefined, Code::PERM_DENIED)],
        };
        walk.settle(stack);
        walk
    }

    /// The line whose module is to be run now; `None` at the end.
    pub(super) fn at<S: Step>(&self, stack: &[S]) -> Option<usize> {
        (self.next < stack.len()).then_some(self.next)
    }

    /// What the host is told, at the end.
    pub(super) fn result(&self) -> Code {
        if self.status == Code::SUCCESS && self.impression != Impression::Positive {
            Code::PERM_DENIED
        } else {
            self.status
        }
    }

    /// Goes on after the module of the line at hand answered `code`. What a line that cannot be read answers is fixed.
    pub(super) fn answer<S: Step>(&mut self, stack: &[S], code: Code) {
        let Some(line) = stack.get(self.next) else {
            return;
        };
        let code = match line.call() {
            Call::Fail => Code::PERM_DENIED,
            Call::Module | Call::Substack => code,
        };
        let level = line.level();
        match line.control().at(code) {
            Action::Ignore => {}
            Action::Reset => {
                if let Some((impression, status)) = self.marks.get(level) {
                    (self.impression, self.status) = (*impression, *status);
                }
            }
            Action::Ok => {
                self.agree(code);
            }
            Action::Done => {
                if self.agree(code) {
                    self.leave(stack, level);
                }
            }
            Action::Bad => self.refuse(code),
            Action::Die => {
                self.refuse(code);
                self.leave(stack, level);
            }
            Action::Jump(count) => self.jump(stack, level, count),
        }
        self.previous = level;
        self.next += 1;
        self.settle(stack);
    }

    /// Whether the walk is content after this.
    fn agree(&mut self, code: Code) -> bool {
        let open = match self.impression {
            Impression::Undefined => true,
            Impression::Positive => self.status == Code::SUCCESS,
            Impression::Negative => false,
        };
        if open {
            self.impression = Impression::Positive;
            self.status = code;
        }
        self.impression == Impression::Positive
    }

    fn refuse(&mut self, code: Code) {
        if self.impression != Impression::Negative {
            self.impression = Impression::Negative;
            self.status = if code == Code::IGNORE {
                Code::PERM_DENIED
            } else {
                code
            };
        }
    }

    /// To the last line of this stack or substack.
    fn leave<S: Step>(&mut self, stack: &[S], level: usize) {
        while self.following(stack).is_some_and(|next| next >= level) {
            self.next += 1;
        }
    }

    /// To the last line that is skipped. A whole substack counts as one line.
    fn jump<S: Step>(&mut self, stack: &[S], level: usize, mut count: u32) {
        while count > 0 && self.following(stack).is_some_and(|next| next >= level) {
            self.next += 1;
            while self.following(stack).is_some_and(|next| next > level) {
                self.next += 1;
            }
            count -= 1;
        }
        if count > 0 {
            self.impression = Impression::Negative;
            self.status = Code::PERM_DENIED;
        }
    }

    fn following<S: Step>(&self, stack: &[S]) -> Option<usize> {
        stack.get(self.next + 1).map(Step::level)
    }

    /// Past what is no module, remembering what was thought where a substack begins.
    fn settle<S: Step>(&mut self, stack: &[S]) {
        while let Some(line) = stack.get(self.next) {
            let level = line.level();
            if self.previous < level {
                self.marks.truncate(level);
                while self.marks.len() <= level {
                    self.marks.push((self.impression, self.status));
                }
            }
            if line.call() != Call::Substack {
                return;
            }
            self.previous = level;
            self.next += 1;
        }
    }
}
