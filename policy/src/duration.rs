//! Durations as a policy writes them: a whole number and a unit, as in `90s`, `15m`, `12h`, `30d`.

use std::{fmt, ops::RangeInclusive};

use crate::{
    diagnostic::quoted,
    document::{Findings, Value},
};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
/// Seconds of a day.
pub(crate) const DAY: u32 = 24 * HOUR;

/// Seconds. Displayed in the largest unit that needs no fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u32);

impl Seconds {
    /// Reads a duration of `range`, in seconds.
    pub(crate) fn read(
        value: Value<'_>,
        range: RangeInclusive<u32>,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        let Some(text) = value.as_str() else {
            value.wrong_type(findings, "a duration such as \"15m\", \"12h\" or \"30d\"");
            return None;
        };
        match Self::parse(text, &range) {
            Ok(seconds) => Some(seconds),
            Err(fault) => {
                value.error(findings, format!("`{}` {fault}", value.key()));
                None
            }
        }
    }

    /// The duration of `range` that `text` is, or what is wrong with it, as in "is "0h"; it must be 1m to 90d".
    pub(crate) fn parse(text: &str, range: &RangeInclusive<u32>) -> Result<Self, String> {
        let (low, high) = (Self(*range.start()), Self(*range.end()));
        let Some(seconds) = seconds(text) else {
            return Err(format!(
                "cannot be {}; write a whole number and s, m, h or d, {low} to {high}",
                quoted(text)
            ));
        };
        let fitting = u32::try_from(seconds).ok().filter(|s| range.contains(s));
        fitting
            .map(Self)
            .ok_or_else(|| format!("is {}; it must be {low} to {high}", quoted(text)))
    }
}

/// What a number is worth; what does not fit is greater than any limit.
fn seconds(text: &str) -> Option<u64> {
    let (last, unit) = text.char_indices().next_back()?;
    let unit = match unit {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    let number = text.get(..last)?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| {
        let number = number.parse().unwrap_or(u64::MAX);
        number.saturating_mul(u64::from(unit))
    })
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')];
        let fitting = units
            .into_iter()
            .find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match fitting {
            Some((unit, letter)) => write!(f, "{}{letter}", self.0 / unit),
            None => write!(f, "{}s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, printed) in [
            ("1s", "1s"),
            ("90s", "90s"),
            ("60m", "1h"),
            ("15m", "15m"),
            ("48h", "2d"),
            ("007d", "7d"),
        ] {
            let seconds = Seconds::parse(text, &(1..=30 * DAY));
            assert_eq!(seconds.map(|s| s.to_string()), Ok(printed.to_owned()));
        }
        for text in [
            "",
            "m",
            "15",
            "-5m",
            "+5m",
            "1.5h",
            "5 m",
            "5M",
            "5min",
            "1h30m",
            "0s",
            "31d",
            "99999999999999999999d",
            "é",
        ] {
            assert!(Seconds::parse(text, &(1..=30 * DAY)).is_err(), "{text:?}");
        }
    }
}
