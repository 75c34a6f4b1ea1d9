//! What a policy lacks for a preset: requirement by requirement, with where it comes from. It judges rules, and no login; and
//! it says nothing about what no policy can promise.

mod demands;
mod rows;

use crate::{Policy, duration::Seconds};

pub use rows::Row;

/// A set of requirements that ready files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// A machine at home.
    Home,
    /// NIST SP 800-63B-4, authenticator assurance level 2.
    Aal2,
    /// NIST SP 800-63B-4, authenticator assurance level 3.
    Aal3,
    /// PCI DSS 4.0.1, requirements 8.3 to 8.5.
    Pci,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Home, Self::Aal2, Self::Aal3, Self::Pci];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
            Self::Pci => "pci",
        }
    }
}

/// How the daemon delays wrong answers: the `[throttle]` of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Failures without a delay.
    pub free: u32,
    /// Seconds of delay after the next one; it doubles with each.
    pub first_delay: u32,
    /// Longest delay, in seconds.
    pub max_delay: u32,
    /// Failures of one kind, as long as they count, that disable it.
    pub limit: u32,
}

impl Default for Throttle {
    /// Those of a daemon without settings.
    fn default() -> Self {
        Self {
            free: 2,
            first_delay: 30,
            max_delay: 3600,
            limit: 100,
        }
    }
}

impl Throttle {
    /// Reads a duration as the settings write it.
    pub fn duration(text: &str) -> Option<u32> {
        Seconds::parse(text, &(0..=u32::MAX))
            .ok()
            .map(|seconds| seconds.0)
    }

    /// Seconds of delay after so many failures in a row.
    fn delay_after(&self, failures: u32) -> u32 {
        let Some(doublings) = failures.checked_sub(self.free.saturating_add(1)) else {
            return 0;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.max_delay)
    }
}

/// How a requirement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The policy holds it.
    Met,
    /// It does not; says what is in the way.
    Lacking(String),
    /// It is not for a policy to say.
    Beyond,
}

impl Policy {
    /// Compares the policy, and the daemon's throttle, with a preset.
    pub fn compare(&self, preset: Preset, throttle: &Throttle) -> Vec<Row> {
        rows::of(self, preset, throttle)
    }
}
