//! Every way through a stack: all answers of all modules, followed to the end. It says what each way proves, and judges
//! none.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::control::{Action, Code};
use super::dispatch::{Call, Step, Walk};
use super::module::{self, Arguments, Meaning, Surroundings};
use super::stack::{Entry, Phase};

/// Most places between two modules that are looked at; real stacks have some hundreds.
const MOST_STATES: usize = 60_000;
/// Most steps of a way that are told.
const MOST_TOLD: usize = 8;

/// How the first factor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum First {
    /// Nobody has asked for one.
    Unasked,
    /// It was wrong.
    Wrong,
    /// It was right.
    Right,
}

/// What came of the second factor, the best of all lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Second {
    /// The module was not run.
    Passed,
    /// It refused.
    Refused,
    /// It let the login through, the daemon being out of reach.
    Open,
    /// The policy asks for none.
    NotRequired,
    /// A right code.
    Granted,
}

/// What a way proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) first: First,
    pub(super) second: Second,
    /// The caller is root.
    pub(super) root: bool,
    /// A module that nothing is known of agreed: it may have been a first factor.
    pub(super) strange: bool,
}

/// A line and what its module answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// Index into the stack.
    pub(super) at: usize,
    pub(super) code: Code,
    pub(super) meaning: Meaning,
}

/// A way through a stack.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// What the host is told.
    pub(super) code: Code,
    pub(super) facts: Facts,
    pub(super) answers: Vec<Answer>,
}

impl Way {
    /// Whether the host goes on with the login: at once, or (account) after a new password.
    pub(super) fn is_in(&self, phase: Phase) -> bool {
        self.code == Code::SUCCESS
            || (phase == Phase::Account && self.code == Code::NEW_AUTHTOK_REQD)
    }

    /// The way in words.
    pub(super) fn told(&self, stack: &[Entry]) -> String {
        let mut text = String::new();
        let telling: Vec<&Answer> = self
            .answers
            .iter()
            .filter(|answer| stack[answer.at].control().at(answer.code) != Action::Ignore)
            .collect();
        for (number, answer) in telling.iter().enumerate() {
            if number == MOST_TOLD {
                text.push_str(", …");
                break;
            }
            let entry = &stack[answer.at];
            let separator = if number == 0 { "" } else { ", then " };
            let name = mfad_protocol::printable(entry.name());
            let _ = write!(
                text,
                "{separator}{name} (line {}) {}",
                entry.place.line, answer.code
            );
        }
        text
    }

    /// The answer that led past, over or out: the last that leaves the stack or jumps; else the last that counts.
    pub(super) fn turning(&self, stack: &[Entry], before: Option<usize>) -> Option<usize> {
        let action = |answer: &Answer| stack[answer.at].control().at(answer.code);
        let within = |answer: &&Answer| before.is_none_or(|before| answer.at < before);
        let turns = |answer: &&Answer| matches!(action(answer), Action::Done | Action::Jump(_));
        let counts = |answer: &&Answer| action(answer) != Action::Ignore;
        let answers = || self.answers.iter().rev().filter(within);
        answers()
            .find(turns)
            .or_else(|| answers().find(counts))
            .map(|answer| answer.at)
    }
}

/// What was found on the ways of a stack.
#[derive(Debug)]
pub(super) struct Ways {
    /// One for each end and what it proves.
    pub(super) ends: Vec<Way>,
    /// Lines of our module, no decoys, that run before a first factor was right; and how it stood.
    pub(super) too_early: Vec<(usize, First)>,
    /// There are more than can be looked at.
    pub(super) too_many: bool,
}

struct Node {
    before: Option<usize>,
    answer: Option<Answer>,
}

/// Follows every way through `stack`. `there` tells whether a line's module exists.
pub(super) fn explore(
    stack: &[Entry],
    phase: Phase,
    around: Surroundings,
    there: impl Fn(&Entry) -> bool,
) -> Ways {
    let choices: Vec<Vec<Answer>> = stack
        .iter()
        .enumerate()
        .map(|(at, entry)| choices(at, entry, phase, around, there(entry)))
        .collect();
    let begin = Facts::begin(around);
    let mut ways = Ways {
        ends: Vec::new(),
        too_early: Vec::new(),
        too_many: false,
    };
    let mut nodes = vec![Node {
        before: None,
        answer: None,
    }];
    let mut known: HashSet<(Walk, Facts)> = HashSet::new();
    let mut ends: HashMap<(Code, Facts), usize> = HashMap::new();
    let mut open = vec![(Walk::begin(stack), begin, 0)];
    // Breadth first, so that what is told of a way is the shortest of its kind.
    let mut next = 0;
    while let Some((walk, facts, node)) = open.get(next).cloned() {
        next += 1;
        let Some(at) = walk.at(stack) else {
            let code = kind_of(walk.result());
            ends.entry((code, facts)).or_insert(node);
            continue;
        };
        note_early(&mut ways.too_early, &stack[at], at, facts);
        for answer in &choices[at] {
            let mut walk = walk.clone();
            walk.answer(stack, answer.code);
            let facts = facts.after(answer.meaning, &stack[at], answer.code);
            if !known.insert((walk.clone(), facts)) {
                continue;
            }
            if known.len() > MOST_STATES {
                ways.too_many = true;
                return ways;
            }
            nodes.push(Node {
                before: Some(node),
                answer: Some(*answer),
            });
            open.push((walk, facts, nodes.len() - 1));
        }
    }
    ways.ends = told(ends, &nodes);
    ways
}

/// The ends in the order in which they were come upon, each with the answers that lead there.
fn told(ends: HashMap<(Code, Facts), usize>, nodes: &[Node]) -> Vec<Way> {
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_by_key(|(_, node)| *node);
    ends.into_iter()
        .map(|((code, facts), node)| Way {
            code,
            facts,
            answers: trace(nodes, node),
        })
        .collect()
}

/// Refusals are alike to whoever judges.
fn kind_of(code: Code) -> Code {
    if code == Code::SUCCESS || code == Code::NEW_AUTHTOK_REQD {
        code
    } else {
        Code::PERM_DENIED
    }
}

fn trace(nodes: &[Node], mut node: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        answers.extend(nodes[node].answer);
        match nodes[node].before {
            Some(before) => node = before,
            None => break,
        }
    }
    answers.reverse();
    answers
}

/// The answers of a line that differ in what follows from them.
fn choices(
    at: usize,
    entry: &Entry,
    phase: Phase,
    around: Surroundings,
    there: bool,
) -> Vec<Answer> {
    if entry.call() == Call::Fail {
        return vec![Answer {
            at,
            code: Code::PERM_DENIED,
            meaning: Meaning::Plain,
        }];
    }
    let mut kinds = HashSet::new();
    module::answers(entry, phase, there, around)
        .into_iter()
        .filter(|(code, meaning)| {
            kinds.insert((entry.control().at(*code), kind_of(*code), *meaning))
        })
        .map(|(code, meaning)| Answer { at, code, meaning })
        .collect()
}

fn note_early(early: &mut Vec<(usize, First)>, entry: &Entry, at: usize, facts: Facts) {
    let decoy = Arguments::read(&entry.arguments).is_ok_and(|arguments| arguments.decoy);
    if module::is_ours(entry) && !decoy && facts.first != First::Right && !facts.strange {
        let found = (at, facts.first);
        if !early.contains(&found) {
            early.push(found);
        }
    }
}

impl Facts {
    /// Before the first line.
    fn begin(around: Surroundings) -> Self {
        Self {
            first: if around.key_first {
                First::Right
            } else {
                First::Unasked
            },
            second: Second::Passed,
            root: false,
            strange: false,
        }
    }

    fn after(mut self, meaning: Meaning, entry: &Entry, code: Code) -> Self {
        let second = match meaning {
            Meaning::FirstRight => {
                self.first = First::Right;
                return self;
            }
            Meaning::FirstWrong => {
                self.first = self.first.max(First::Wrong);
                return self;
            }
            Meaning::RootCaller => {
                self.root = true;
                return self;
            }
            Meaning::Plain => {
                self.strange |= code == Code::SUCCESS && module::is_strange(entry);
                return self;
            }
            Meaning::Refused => Second::Refused,
            Meaning::Open => Second::Open,
            Meaning::NotRequired => Second::NotRequired,
            Meaning::Granted => Second::Granted,
        };
        self.second = self.second.max(second);
        self
    }
}
