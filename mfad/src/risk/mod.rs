//! How unusual a login is, compared with the person's own earlier ones and with recent failures. Pure: it reads no
//! clock and no database, and decides nothing. A policy may ask for more where the level is high, never for less.
//!
//! Each [`Signal`] that fires has a weight; their sum makes the [`Level`]. What is not known fires nothing. Before a
//! person has completed [`Settings::learn`] logins, only failures and dormancy can fire: a new account is no risk.

mod history;
#[cfg(test)]
mod properties;
mod settings;
mod signals;
#[cfg(test)]
mod tests;

pub use policy::{Level, Signal};

pub use history::{Circumstances, Habit, History, KnownDevice, Mark, Network};
pub use settings::{HEAVIEST, Settings, Weights};

/// Failed answers of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// To this person's questions, within [`Settings::failure_window`].
    pub user: u32,
    /// From this source, whoever was asked, that have not run off yet. 0 for sources that the throttle does not count:
    /// those that this person has logged in from, seats, and unknown addresses.
    pub source: u32,
    /// Of anybody, within [`Settings::failure_window`].
    pub everywhere: u32,
}

/// A signal that has fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Which.
    pub signal: Signal,
    /// Its share of the score.
    pub weight: u32,
    /// Why, for an administrator: a short sentence of ASCII.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// How unusual.
    pub level: Level,
    /// The sum of the weights, at most 1,000.
    pub score: u32,
    /// What fired, in the order of [`Signal::ALL`], each at most once.
    pub signals: Vec<Fired>,
}

impl Assessment {
    /// Whether that signal has fired.
    pub fn has(&self, signal: Signal) -> bool {
        self.signals.iter().any(|fired| fired.signal == signal)
    }
}

/// Compares a login at `now` (seconds since the epoch) with what is remembered.
pub fn assess(
    history: &History,
    login: &Circumstances,
    failures: Failures,
    settings: &Settings,
    now: i64,
) -> Assessment {
    let case = signals::Case {
        history,
        login,
        failures,
        settings,
        now,
    };
    let signals: Vec<Fired> = Signal::ALL
        .into_iter()
        .filter_map(|signal| {
            let weight = settings.weights.of(signal);
            // A weight of 0 switches a signal off.
            let why = (weight > 0).then(|| case.why(signal)).flatten()?;
            Some(Fired {
                signal,
                weight,
                why,
            })
        })
        .collect();
    let score = signals.iter().map(|fired| fired.weight).sum();
    Assessment {
        level: settings.level(score),
        score,
        signals,
    }
}
