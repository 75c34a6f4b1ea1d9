//! Takes settings out of one table of `mfad.toml`: each has a default, a type and a range. It knows none of them.

use std::ops::{Range, RangeInclusive};

use policy::document::{Findings, Table, Value};

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

const A_DURATION: &str = r#"a duration such as "30s", "10m", "12h" or "30d""#;

/// One table of the file, which may not be there.
pub(super) struct Section<'t> {
    table: Option<Table<'t>>,
}

impl<'t> Section<'t> {
    /// The table under `key`; `what` names it in messages.
    pub(super) fn of(
        root: Option<&Table<'t>>,
        key: &'static str,
        what: &'static str,
        findings: &mut Findings<'_>,
    ) -> Self {
        let value = root.and_then(|root| root.take(key));
        Self {
            table: value.and_then(|value| value.table(what, findings)),
        }
    }

    /// A table inside it.
    pub(super) fn table(
        &self,
        key: &'static str,
        what: &'static str,
        findings: &mut Findings<'_>,
    ) -> Self {
        Self::of(self.table.as_ref(), key, what, findings)
    }

    /// Where it stands, if it is there.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        self.table.as_ref().map(Table::span)
    }

    /// The value of `key`, if it is there.
    pub(super) fn take(&self, key: &'static str) -> Option<Value<'t>> {
        self.table.as_ref().and_then(|table| table.take(key))
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &self,
        key: &'static str,
        range: RangeInclusive<u32>,
        default: u32,
        findings: &mut Findings<'_>,
    ) -> u32 {
        let number = self
            .take(key)
            .and_then(|value| value.integer(range, findings));
        number.unwrap_or(default)
    }

    /// A whole number within a small `range`.
    pub(super) fn small(
        &self,
        key: &'static str,
        range: RangeInclusive<u8>,
        default: u8,
        findings: &mut Findings<'_>,
    ) -> u8 {
        let range = u32::from(*range.start())..=u32::from(*range.end());
        let number = self.number(key, range, u32::from(default), findings);
        u8::try_from(number).unwrap_or(default)
    }

    /// True or false.
    pub(super) fn boolean(
        &self,
        key: &'static str,
        default: bool,
        findings: &mut Findings<'_>,
    ) -> bool {
        let boolean = self.take(key).and_then(|value| value.boolean(findings));
        boolean.unwrap_or(default)
    }

    /// A text to which `unfit` has no objection.
    pub(super) fn text(
        &self,
        key: &'static str,
        default: &str,
        unfit: fn(&str) -> Option<String>,
        findings: &mut Findings<'_>,
    ) -> String {
        let text = self.take(key).and_then(|value| {
            let text = value.string(findings)?;
            if let Some(objection) = unfit(text) {
                value.error(findings, format!("`{key}` {objection}"));
            }
            Some(text)
        });
        text.unwrap_or(default).to_owned()
    }

    /// A duration within `range`, in seconds.
    pub(super) fn seconds(
        &self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
        findings: &mut Findings<'_>,
    ) -> u64 {
        let seconds = self.take(key).and_then(|value| {
            let Some(text) = value.as_str() else {
                value.wrong_type(findings, A_DURATION);
                return None;
            };
            let seconds = in_seconds(text);
            let fitting = seconds.filter(|seconds| range.contains(seconds));
            if fitting.is_none() {
                let (low, high) = (spelled(*range.start()), spelled(*range.end()));
                let message = match seconds {
                    Some(_) => format!("`{key}` is {text:?}; it must be {low} to {high}"),
                    None => format!("`{key}` must be {A_DURATION}, {low} to {high}"),
                };
                value.error(findings, message);
            }
            fitting
        });
        seconds.unwrap_or(default)
    }

    /// Notes every key that nobody took.
    pub(super) fn finish(self, findings: &mut Findings<'_>) {
        if let Some(table) = self.table {
            table.finish(findings);
        }
    }
}

/// A whole number and a unit.
fn in_seconds(text: &str) -> Option<u64> {
    let (last, unit) = text.char_indices().next_back()?;
    let unit = match unit {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    let number = text.get(..last)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number
        .parse::<u64>()
        .ok()
        .filter(|_| digits)?
        .checked_mul(unit)
}

/// Seconds in the largest unit that needs no fraction.
fn spelled(seconds: u64) -> String {
    let units = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')];
    let fitting = units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    match fitting {
        Some((unit, letter)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_seconds;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, expected) in [
            ("30s", 30),
            ("10m", 600),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("0s", 0),
        ] {
            assert_eq!(in_seconds(text), Some(expected), "{text:?}");
        }
        for text in [
            "",
            "s",
            "30",
            "30 s",
            "+30s",
            "-30s",
            "1.5h",
            "1h30m",
            "30S",
            "٣s",
            "30é",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(in_seconds(text), None, "{text:?}");
        }
    }
}
