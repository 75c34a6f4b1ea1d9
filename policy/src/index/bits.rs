//! Sets of positions: as bits, and as short lists. They know nothing of rules.

/// A set of the positions below a number, a bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// None of `count` positions.
    pub(super) fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)].into())
    }

    /// All of `count` positions.
    pub(super) fn every(count: usize) -> Self {
        let mut words = vec![u64::MAX; count.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !count.is_multiple_of(64)) {
            *last = (1 << (count % 64)) - 1;
        }
        Self(words.into())
    }

    /// Puts a position in. One beyond the end is ignored.
    pub(super) fn set(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    /// Takes a position out.
    pub(super) fn clear(&mut self, position: usize) {
        if let Some(word) = self.0.get_mut(position / 64) {
            *word &= !(1 << (position % 64));
        }
    }

    /// Puts in what is in `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }

    /// Takes out what is not in `other`.
    pub(super) fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    /// Takes out what is in `other`.
    pub(super) fn drop(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    /// The first position in it that is not before `from`.
    pub(super) fn first_from(&self, from: usize) -> Option<usize> {
        let mut number = from / 64;
        let mut word = self.0.get(number)? & (u64::MAX << (from % 64));
        while word == 0 {
            number += 1;
            word = *self.0.get(number)?;
        }
        Some(number * 64 + word.trailing_zeros() as usize)
    }
}

/// The positions of rules that are found by the same thing: mostly one.
#[derive(Debug, Clone)]
pub(super) enum Posting {
    One(u32),
    Few(Vec<u32>),
    Many(Bits),
}

impl Posting {
    /// Puts in a position that is not before those in it.
    pub(super) fn push(&mut self, position: u32) {
        match self {
            Self::One(only) if *only == position => {}
            Self::One(only) => *self = Self::Few(vec![*only, position]),
            Self::Few(list) if list.last() == Some(&position) => {}
            Self::Few(list) => list.push(position),
            Self::Many(bits) => bits.set(position as usize),
        }
    }

    /// Takes the form that is quickest, of `count` positions in all.
    pub(super) fn finish(&mut self, count: usize) {
        if let Self::Few(list) = self
            && list.len() > count / 64
        {
            let mut bits = Bits::none(count);
            for position in &*list {
                bits.set(*position as usize);
            }
            *self = Self::Many(bits);
        }
    }

    /// Puts what is in it into `bits`.
    pub(super) fn add_to(&self, bits: &mut Bits) {
        match self {
            Self::One(only) => bits.set(*only as usize),
            Self::Few(list) => list.iter().for_each(|one| bits.set(*one as usize)),
            Self::Many(many) => bits.add(many),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(bits: &Bits) -> Vec<usize> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(position) = bits.first_from(from) {
            found.push(position);
            from = position + 1;
        }
        found
    }

    #[test]
    fn a_set_of_any_size_holds_what_was_put_in() {
        for count in [0, 1, 63, 64, 65, 128, 200] {
            let every = Bits::every(count);
            assert_eq!(positions(&every), (0..count).collect::<Vec<_>>());
            let mut odd = Bits::none(count);
            (1..count).step_by(2).for_each(|position| odd.set(position));
            odd.set(count + 64);
            let mut even = every.clone();
            even.drop(&odd);
            assert_eq!(positions(&even), (0..count).step_by(2).collect::<Vec<_>>());
            even.add(&odd);
            assert_eq!(even, every);
            even.keep(&odd);
            assert_eq!(even, odd);
            odd.clear(1);
            assert_eq!(odd.first_from(0), (count > 3).then_some(3));
        }
    }

    #[test]
    fn a_posting_is_the_same_set_in_every_form() {
        let mut posting = Posting::One(3);
        let mut expected = vec![3];
        for position in [3, 7, 7, 64, 190] {
            posting.push(position);
            expected.push(position as usize);
            expected.dedup();
            for count in [200, 20_000] {
                let mut posting = posting.clone();
                posting.finish(count);
                posting.push(199);
                let mut bits = Bits::none(count);
                posting.add_to(&mut bits);
                let with_last: Vec<usize> = expected.iter().copied().chain([199]).collect();
                assert_eq!(positions(&bits), with_last);
            }
        }
    }
}
