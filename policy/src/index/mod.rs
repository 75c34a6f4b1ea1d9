//! Finds the rules that may apply to a login without asking each: an index over what conditions can be found by.
//!
//! It only leaves out rules whose answer is certainly no; whether a rule that is left applies, the rule itself says. So
//! the answer is that of asking every rule in order.

mod bits;
mod names;
mod places;

use std::collections::HashMap;

use crate::{
    Request, Truth,
    condition::{Handle, KINDS, Kind, Offer, Part},
    rule::Rule,
    truth::Sense,
};

use bits::Bits;
use names::NameIndex;
use places::PlaceIndex;

/// With fewer rules, asking each is as quick.
const WORTH_IT: usize = 16;

/// An index over some of a policy's rules. What it holds are positions in `rules`.
#[derive(Debug)]
pub(crate) struct Index {
    /// Positions among all the policy's rules, ascending.
    rules: Box<[u32]>,
    columns: Vec<Column>,
    /// Conditions without a handle that several rules share word for word: where one answers no, all these rules are out.
    shared: Vec<Bits>,
    /// For each rule, its shared conditions: number in `shared`, number in its `when`.
    sharing: Vec<Box<[(u32, u32)]>>,
}

/// All conditions of one kind.
#[derive(Debug)]
struct Column {
    kind: &'static Kind,
    /// Rules without such a condition.
    free: Bits,
    names: NameIndex,
    places: PlaceIndex,
}

impl Index {
    /// Of the rules of which `wanted` says so.
    pub(crate) fn new(all: &[Rule], wanted: fn(&Rule) -> bool) -> Self {
        let numbers = (0_u32..).zip(all).filter(|(_, rule)| wanted(rule));
        let (numbers, rules): (Vec<u32>, Vec<&Rule>) = numbers.unzip();
        let mut index = Self {
            rules: numbers.into(),
            columns: Vec::new(),
            shared: Vec::new(),
            sharing: Vec::new(),
        };
        if rules.len() >= WORTH_IT {
            index.columns = KINDS
                .iter()
                .filter_map(|kind| Column::new(kind, &rules))
                .collect();
            index.share(&rules);
        }
        index
    }

    fn share(&mut self, rules: &[&Rule]) {
        let mut texts: HashMap<(&str, String), Vec<(usize, u32)>> = HashMap::new();
        for (position, rule) in rules.iter().enumerate() {
            for (number, part) in (0_u32..).zip(&rule.when.0) {
                if part.kind.offer.is_none() {
                    let text = (part.kind.key, part.condition.to_string());
                    texts.entry(text).or_default().push((position, number));
                }
            }
        }
        let mut sharing = vec![Vec::new(); rules.len()];
        for holders in texts.into_values().filter(|holders| holders.len() > 1) {
            let mut bits = Bits::none(rules.len());
            let group = u32::try_from(self.shared.len()).unwrap_or(u32::MAX);
            for (position, number) in holders {
                bits.set(position);
                if let Some(list) = sharing.get_mut(position) {
                    list.push((group, number));
                }
            }
            self.shared.push(bits);
        }
        self.sharing = sharing.into_iter().map(Vec::into_boxed_slice).collect();
    }

    /// The rules that may apply to this login, in order, and whether they do.
    pub(crate) fn candidates<'p, 'r>(
        &'p self,
        all: &'p [Rule],
        request: &'r Request<'r>,
    ) -> Candidates<'p, 'r> {
        let mut left = Bits::every(self.rules.len());
        for column in &self.columns {
            column.narrow(request, &mut left);
        }
        Candidates {
            index: self,
            all,
            request,
            left,
            next: 0,
            asked: vec![false; self.shared.len()],
        }
    }
}

impl Column {
    /// `None` if no rule has a condition of this kind that can be found.
    fn new(kind: &'static Kind, rules: &[&Rule]) -> Option<Self> {
        kind.offer?;
        let mut column = Self {
            kind,
            free: Bits::every(rules.len()),
            names: NameIndex::default(),
            places: PlaceIndex::default(),
        };
        let mut used = false;
        for (position, rule) in rules.iter().enumerate() {
            let of_kind = |part: &&Part| part.kind.key == kind.key;
            let Some(part) = rule.when.0.iter().find(of_kind) else {
                continue;
            };
            let number = u32::try_from(position).ok()?;
            match part.condition.handle() {
                Handle::None => continue,
                Handle::Names(names) => {
                    for name in names.iter() {
                        column.names.insert(name, number);
                    }
                }
                Handle::Places(places) => {
                    for place in places.iter() {
                        column.places.insert(*place, number);
                    }
                }
            }
            column.free.clear(position);
            used = true;
        }
        column.names.finish(rules.len());
        column.places.finish(rules.len());
        used.then_some(column)
    }

    /// Takes out of `left` what certainly does not apply.
    fn narrow(&self, request: &Request<'_>, left: &mut Bits) {
        let Some(offer) = self.kind.offer else { return };
        offer(request, &mut |offered| {
            let mut fit = match offered {
                Offer::Unknown => return,
                Offer::Names(_) | Offer::Place(..) => self.free.clone(),
            };
            match offered {
                Offer::Unknown => {}
                Offer::Names(names) => {
                    for name in &names {
                        self.names.find(name, &mut fit);
                    }
                }
                Offer::Place(address, local) => self.places.find(address, local, &mut fit),
            }
            left.keep(&fit);
        });
    }
}

/// Iterates over the rules that may apply.
pub(crate) struct Candidates<'p, 'r> {
    index: &'p Index,
    all: &'p [Rule],
    request: &'r Request<'r>,
    left: Bits,
    next: usize,
    /// Which shared conditions have been asked.
    asked: Vec<bool>,
}

impl Candidates<'_, '_> {
    /// Asks the shared conditions of a rule, each at most once per login. Whether the rule is still in.
    fn passes(&mut self, position: usize, rule: &Rule) -> bool {
        let Some(sharing) = self.index.sharing.get(position) else {
            return true;
        };
        for (group, number) in sharing {
            let (group, number) = (*group as usize, *number as usize);
            let (Some(asked), Some(part)) = (self.asked.get_mut(group), rule.when.0.get(number))
            else {
                continue;
            };
            if std::mem::replace(asked, true) {
                continue;
            }
            if part.condition.truth(self.request, Sense::Plain) == Truth::No {
                if let Some(holders) = self.index.shared.get(group) {
                    self.left.drop(holders);
                }
                return false;
            }
        }
        true
    }
}

impl<'p> Iterator for Candidates<'p, '_> {
    type Item = (&'p Rule, Truth);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let position = self.left.first_from(self.next)?;
            self.next = position + 1;
            let number = *self.index.rules.get(position)? as usize;
            let rule = self.all.get(number)?;
            if !self.passes(position, rule) {
                continue;
            }
            let truth = rule.truth(self.request);
            if truth != Truth::No {
                return Some((rule, truth));
            }
        }
    }
}
