//! The figures as they come, as a table with what was aimed at beside them, or as one JSON document. It measures nothing.

use serde_json::{Value, json};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// At most so much.
    AtMost(u64),
    /// At least so much.
    AtLeast(u64),
    /// Ratios to the row it is compared with: median, 99th percentile, in hundredths.
    Ratios(u64, u64),
    /// Ratio of the medians alone, in hundredths.
    Ratio(u64),
}

/// One thing measured.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    count: usize,
    median: u64,
    p99: Option<u64>,
    ratios: Option<(u64, Option<u64>)>,
    aim: Option<Aim>,
    note: String,
}

impl Row {
    /// Times, in microseconds.
    pub(crate) fn times(what: impl Into<String>, times: &[u64]) -> Self {
        Self {
            what: what.into(),
            count: times.len(),
            median: quantile(times, 50),
            // Of few there is none.
            p99: (times.len() >= 100).then(|| quantile(times, 99)),
            ratios: None,
            aim: None,
            note: String::new(),
        }
    }

    /// One number.
    pub(crate) fn figure(what: impl Into<String>, figure: u64) -> Self {
        Self::times(what, &[figure])
    }

    /// Compares it with another row.
    pub(crate) fn beside(mut self, (median, p99): (u64, Option<u64>)) -> Self {
        let p99 = self.p99.zip(p99).map(|(own, other)| hundredths(own, other));
        self.ratios = Some((hundredths(self.median, median), p99));
        self
    }

    /// What it should be.
    pub(crate) const fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    /// What else to know of it.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// What another row is compared with: median and 99th percentile.
    pub(crate) const fn base(&self) -> (u64, Option<u64>) {
        (self.median, self.p99)
    }

    fn meets(&self) -> Option<bool> {
        let ratios = self.ratios.unwrap_or_default();
        Some(match self.aim? {
            Aim::AtMost(most) => self.median <= most,
            Aim::AtLeast(least) => self.median >= least,
            Aim::Ratio(median) => ratios.0 <= median,
            Aim::Ratios(median, p99) => {
                ratios.0 <= median && ratios.1.is_some_and(|own| own <= p99)
            }
        })
    }

    fn aimed(&self) -> String {
        let aim = match self.aim {
            None => return String::new(),
            Some(Aim::AtMost(most)) => format!("<= {most}"),
            Some(Aim::AtLeast(least)) => format!(">= {least}"),
            Some(Aim::Ratio(median)) => format!("<= {} x", decimal(median)),
            Some(Aim::Ratios(median, p99)) => {
                format!("<= {} x, {} x", decimal(median), decimal(p99))
            }
        };
        let met = if self.meets() == Some(true) {
            "met"
        } else {
            "MISSED"
        };
        format!("{aim}: {met}")
    }

    fn line(&self) -> String {
        let p99 = self.p99.map_or_else(String::new, |p99| p99.to_string());
        let ratios = self.ratios.map_or_else(String::new, |(median, p99)| {
            let p99 = p99.map_or_else(String::new, |p99| format!(", {}", decimal(p99)));
            format!("{}{p99}", decimal(median))
        });
        let line = format!(
            "{:<57} {:>5} {:>8} {:>8}  {:<11} {:<24} {}",
            self.what,
            self.count,
            self.median,
            p99,
            ratios,
            self.aimed(),
            self.note
        );
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let ratio =
            |hundredths: u64| f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0;
        json!({
            "what": self.what,
            "count": self.count,
            "median": self.median,
            "p99": self.p99,
            "ratio-of-medians": self.ratios.map(|(median, _)| ratio(median)),
            "ratio-of-p99": self.ratios.and_then(|(_, p99)| p99).map(ratio),
            "aim": self.aim.map(|_| self.aimed()),
            "met": self.meets(),
            "note": self.note,
        })
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    printing: bool,
}

impl Table {
    /// Prints each row as it comes, or all of them as JSON at the end.
    pub(crate) fn new(printing: bool) -> Self {
        if printing {
            println!(
                "{:<57} {:>5} {:>8} {:>8}  {:<11} aim",
                "microseconds, where nothing else is said", "n", "median", "p99", "ratios"
            );
        }
        Self {
            rows: Vec::new(),
            printing,
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: Row) {
        if self.printing {
            println!("{}", row.line());
        }
        self.rows.push(row);
    }

    /// Says what was missed, or prints the document.
    pub(crate) fn finish(&self) {
        if !self.printing {
            let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
            println!("{}", json!({ "rows": rows }));
            return;
        }
        let missed: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| row.meets() == Some(false))
            .map(|row| row.what.as_str())
            .collect();
        let aims = self.rows.iter().filter(|row| row.aim.is_some()).count();
        let which = if missed.is_empty() { "" } else { "; missed: " };
        println!(
            "\n{} of {aims} aims met{which}{}",
            aims - missed.len(),
            missed.join("; ")
        );
    }
}

/// The value that so many hundredths of them do not exceed.
fn quantile(of: &[u64], parts: usize) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * parts / 100).min(last);
    sorted.get(at).copied().unwrap_or_default()
}

fn hundredths(a: u64, b: u64) -> u64 {
    (a * 100 + b / 2).checked_div(b).unwrap_or_default()
}

fn decimal(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_and_ratios_are_rounded() {
        let times: Vec<u64> = (1..=200).rev().collect();
        assert_eq!((quantile(&times, 50), quantile(&times, 99)), (101, 199));
        assert_eq!(quantile(&[], 50), 0);
        let row = Row::times("x", &times).beside((100, Some(150)));
        assert_eq!(row.ratios, Some((101, Some(133))));
        assert_eq!(decimal(101), "1.01");
    }

    #[test]
    fn an_aim_is_met_or_missed_by_what_was_measured() {
        let of = |figure: u64, aim| Row::figure("x", figure).aim(aim).meets();
        assert_eq!(of(8, Aim::AtMost(8)), Some(true));
        assert_eq!(of(9, Aim::AtMost(8)), Some(false));
        assert_eq!(of(2999, Aim::AtLeast(3000)), Some(false));
        let slow = Row::figure("x", 111).beside((100, None));
        assert_eq!(slow.aim(Aim::Ratio(110)).meets(), Some(false));
        assert_eq!(Row::figure("x", 1).meets(), None);
    }
}
