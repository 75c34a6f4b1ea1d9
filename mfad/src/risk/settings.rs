//! The numbers that make a login unusual. Whoever reads them from a file checks their ranges.

use super::{Level, Signal};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Greatest weight of one signal.
pub const HEAVIEST: u32 = 100;

/// `[risk]` of `mfad.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What each signal counts.
    pub weights: Weights,
    /// Score from which the level is low.
    pub low: u32,
    /// Score from which it is medium.
    pub medium: u32,
    /// Score from which it is high.
    pub high: u32,
    /// Logins to learn from before one can be unusual for this person.
    pub learn: u32,
    /// How long what was learned is kept, in seconds.
    pub keep: i64,
    /// Days with logins before an hour can be unusual.
    pub hour_days: u32,
    /// An hour is unusual if the person came around it on less than so many of a hundred days.
    pub hour_percent: u32,
    /// Logins in an hour that are unusual if they are more than so many times the habit …
    pub rate_factor: u32,
    /// … and more than so many.
    pub rate_floor: u32,
    /// Kilometres an hour above which a journey is impossible.
    pub speed: u32,
    /// Kilometres below which no journey is.
    pub distance: u32,
    /// Seconds without a login that make an account dormant.
    pub dormant: i64,
    /// How long a failure is recent, in seconds; at most an hour.
    pub failure_window: i64,
    /// Recent failures of the person that count.
    pub failures_user: u32,
    /// Recent failures of the source that count.
    pub failures_source: u32,
    /// Recent failures of anybody that count.
    pub failures_everywhere: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            low: 15,
            medium: 40,
            high: 70,
            learn: 10,
            keep: 90 * DAY,
            hour_days: 10,
            hour_percent: 5,
            rate_factor: 5,
            rate_floor: 10,
            speed: 900,
            distance: 500,
            dormant: 90 * DAY,
            failure_window: HOUR,
            failures_user: 5,
            failures_source: 5,
            failures_everywhere: 50,
        }
    }
}

impl Settings {
    /// The level that a score makes.
    pub const fn level(&self, score: u32) -> Level {
        if score >= self.high {
            Level::High
        } else if score >= self.medium {
            Level::Medium
        } else if score >= self.low {
            Level::Low
        } else {
            Level::None
        }
    }
}

/// What each signal counts, 0 (off) to [`HEAVIEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights([u32; Signal::ALL.len()]);

impl Default for Weights {
    fn default() -> Self {
        Self([20, 20, 40, 70, 15, 25, 25, 30, 10, 50])
    }
}

impl Weights {
    /// The weight of one signal.
    pub fn of(&self, signal: Signal) -> u32 {
        self.0.get(signal as usize).copied().unwrap_or(HEAVIEST)
    }

    /// The same with another weight of one signal, [`HEAVIEST`] at most.
    #[must_use]
    pub fn with(mut self, signal: Signal, weight: u32) -> Self {
        if let Some(of_signal) = self.0.get_mut(signal as usize) {
            *of_signal = weight.min(HEAVIEST);
        }
        self
    }
}
