//! Whose place is taken where many share a bounded table. It knows nothing of what the table holds.

use std::{cmp::Reverse, collections::HashMap};

/// A place in a table: who holds it, since when (or until when: what is older is less), and its key.
pub(crate) struct Place<A, K> {
    /// Who.
    pub holder: u32,
    /// Older is less.
    pub age: A,
    /// Which.
    pub key: K,
}

/// Which place a newcomer takes in a full table: the oldest of whoever holds most. So nobody who holds one place loses it
/// while there are fewer holders than places, however many places each of the others asks for.
pub(crate) fn taken<A: Ord + Copy, K>(places: impl Iterator<Item = Place<A, K>>) -> Option<K> {
    let mut holders: HashMap<u32, (usize, Place<A, K>)> = HashMap::new();
    for place in places {
        match holders.get_mut(&place.holder) {
            None => {
                holders.insert(place.holder, (1, place));
            }
            Some((count, oldest)) => {
                *count += 1;
                if place.age < oldest.age {
                    *oldest = place;
                }
            }
        }
    }
    let largest = holders
        .into_values()
        .max_by_key(|(count, oldest)| (*count, Reverse(oldest.age)));
    largest.map(|(_, oldest)| oldest.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_largest_holder_goes_and_among_equals_the_oldest() {
        let of = |places: &[(u32, i64)]| {
            let places = places.iter().enumerate();
            taken(places.map(|(key, (holder, age))| Place {
                holder: *holder,
                age: *age,
                key,
            }))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(1, 1), (2, 5), (2, 4), (3, 0)]), Some(2));
        assert_eq!(of(&[(1, 3), (2, 1), (3, 2)]), Some(1));
    }
}
