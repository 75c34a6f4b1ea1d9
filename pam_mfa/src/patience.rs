//! Owns how long the module waits: in time that it has spent waiting, not in time that has passed. It must not wait itself.
//!
//! Who runs sudo can stop it (Ctrl-Z) while it waits for the daemon. Counted by the clock, that would make the daemon
//! "unreachable" at the user's will, which `unreachable=ignore` lets pass.

use std::time::{Duration, Instant};

/// Longest wait in one piece. Whoever stops the host uses up one piece of its patience at most each time, and what has
/// come meanwhile is read before the next.
const PIECE: Duration = Duration::from_millis(100);

/// What is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    left: Duration,
    /// When it was last asked for.
    asked: Instant,
    /// Whether the person wants to wait no longer.
    stop: Option<fn() -> bool>,
}

impl Patience {
    pub(crate) fn of(left: Duration) -> Self {
        Self {
            left,
            asked: Instant::now(),
            stop: None,
        }
    }

    /// None once `stop` says so, however much was left.
    pub(crate) const fn unless(mut self, stop: fn() -> bool) -> Self {
        self.stop = Some(stop);
        self
    }

    pub(crate) fn until(deadline: Instant) -> Self {
        Self::of(deadline.saturating_duration_since(Instant::now()))
    }

    /// How long may be waited before this is asked again. `None` where nothing is left: then what is there already may
    /// still be looked at, once.
    pub(crate) fn piece(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.asked).min(PIECE);
        self.asked = now;
        self.left = self.left.saturating_sub(passed);
        if self.stop.is_some_and(|stop| stop()) {
            self.left = Duration::ZERO;
        }
        (!self.left.is_zero()).then(|| self.left.min(PIECE))
    }

    /// How long may be waited in one go where that keeps a place in a queue: half of what is left, so that the rest is left
    /// for what comes after. [`waited`](Self::waited) is to be told how it ended.
    pub(crate) fn long_piece(&mut self) -> Option<Duration> {
        let piece = self.piece()?;
        Some((self.left / 2).max(piece))
    }

    /// Counts a wait of at most so long in full; one that was interrupted, as a stop does, like any other piece.
    pub(crate) fn waited(&mut self, most: Duration, interrupted: bool) {
        let most = if interrupted { PIECE.min(most) } else { most };
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.asked).min(most);
        self.asked = now;
        self.left = self.left.saturating_sub(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    #[test]
    fn a_stop_of_any_length_uses_up_one_piece() {
        let mut patience = Patience::of(PIECE * 3);
        sleep(PIECE * 5);
        assert_eq!(patience.piece(), Some(PIECE));
        sleep(PIECE * 5);
        assert!(patience.piece().is_some());
        sleep(PIECE * 5);
        assert_eq!(patience.piece(), None);
    }

    #[test]
    fn a_long_piece_is_half_and_one_that_was_interrupted_counts_like_any_other() {
        let mut patience = Patience::of(PIECE * 40);
        assert!(patience.long_piece().unwrap() > PIECE * 19);
        sleep(PIECE * 5);
        patience.waited(PIECE * 20, true);
        assert!(patience.left >= PIECE * 38, "{patience:?}");
        sleep(PIECE * 5);
        patience.waited(PIECE * 20, false);
        assert!(patience.left <= PIECE * 35, "{patience:?}");
        let mut little = Patience::of(PIECE * 3 / 2);
        assert!(
            little.long_piece().unwrap() >= PIECE / 2,
            "no less than a piece"
        );
        assert_eq!(Patience::of(Duration::ZERO).long_piece(), None);
    }

    #[test]
    fn waiting_itself_is_counted_in_full() {
        let start = Instant::now();
        let mut patience = Patience::of(PIECE * 2 + PIECE / 2);
        while let Some(piece) = patience.piece() {
            sleep(piece);
        }
        assert!(start.elapsed() >= PIECE * 2 + PIECE / 2);
        assert_eq!(Patience::until(start).piece(), None);
    }

    #[test]
    fn none_is_left_to_who_wants_to_wait_no_longer() {
        assert!(Patience::of(PIECE).unless(|| false).piece().is_some());
        assert_eq!(Patience::of(PIECE).unless(|| true).piece(), None);
    }
}
