//! How much of something bounded each uid holds. It knows nothing of what it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

type Held = Arc<Mutex<HashMap<u32, usize>>>;

/// What everybody holds.
#[derive(Debug)]
pub(super) struct Shares {
    held: Held,
    most: usize,
}

impl Shares {
    /// Shares of `most` each.
    pub(super) fn of(most: usize) -> Self {
        Self {
            held: Held::default(),
            most,
        }
    }

    /// One more for this uid, until it is dropped; `None` if it has its share.
    pub(super) fn take(&self, uid: u32) -> Option<Share> {
        let mut counts = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(uid).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            held: Arc::clone(&self.held),
            uid,
        })
    }
}

/// One part of a uid's share.
#[derive(Debug)]
pub(super) struct Share {
    held: Held,
    uid: u32,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_its_share_and_gives_it_back() {
        let shares = Shares::of(4);
        let taken: Vec<_> = (0..5).filter_map(|_| shares.take(1000)).collect();
        assert_eq!(taken.len(), 4);
        assert!(shares.take(1001).is_some());
        drop(taken);
        assert!(shares.take(1000).is_some());
        assert!(shares.held.lock().unwrap().is_empty());
    }
}
