//! `time`: windows of the week on the wall clock of a time zone.
//!
//! A window is compared with what a clock on the wall shows, so that it follows daylight saving time: an hour that
//! comes twice in autumn is in the window both times, one that is skipped in spring never comes. A window across
//! midnight belongs to the day on which it begins.

use std::{collections::HashSet, fmt};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{Condition, Kind, Reader};
use crate::{
    Request,
    diagnostic::quoted,
    document::{QuotedList, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "time",
    read,
    found: |request| {
        let now = Timestamp::from_second(request.now);
        now.map_or_else(|_| "not known".to_owned(), |now| now.to_string())
    },
    offer: None,
};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: Days = Days(0x7F);
/// Minutes of a day.
const DAY: u16 = 24 * 60;

#[derive(Debug)]
struct Windows(Vec<Window>);

/// Displayed as it is written.
#[derive(Debug, Clone)]
struct Window {
    days: Days,
    /// Minutes after midnight. From `from` on, until before `to`; where `to` is not after `from`, until then on the next
    /// day.
    from: u16,
    to: u16,
    zone: TimeZone,
    zone_name: String,
}

/// A set of days of the week: bit 0 is Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days(u8);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(reader.findings)?;
    let count = strings.len();
    let mut seen = HashSet::with_capacity(count);
    let mut windows = Vec::with_capacity(count);
    for (text, span) in strings {
        match window(text, reader.vocabulary.zone) {
            Ok(window) if seen.insert(window.to_string()) => windows.push(window),
            Ok(_) => {
                let message = format!("{} is listed twice", quoted(text));
                reader.findings.error(span, message);
            }
            Err(fault) => reader.findings.error(span, fault),
        }
    }
    (windows.len() == count).then(|| Box::new(Windows(windows)) as Box<dyn Condition>)
}

/// Reads `[days] [HH:MM-HH:MM] zone`, of which days or hours must be there.
fn window(text: &str, find_zone: fn(&str) -> Option<TimeZone>) -> Result<Window, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (days, hours, zone_name) = match words[..] {
        [days, hours, zone] => (Some(days), Some(hours), zone),
        [hours, zone] if hours.starts_with(|c: char| c.is_ascii_digit()) => {
            (None, Some(hours), zone)
        }
        [days, zone] => (Some(days), None, zone),
        _ => {
            return Err(format!(
                "`time` cannot be {}; write days, hours and a time zone, as in \"Mon..Fri 08:00-18:00 Europe/Zurich\"",
                quoted(text)
            ));
        }
    };
    let days = days.map_or(Ok(EVERY_DAY), self::days)?;
    let (from, to) = hours.map_or(Ok((0, DAY)), self::hours)?;
    if zone_name.contains(':') || zone_name.contains("..") || self::days(zone_name).is_ok() {
        return Err(format!(
            "{} lacks a time zone at its end, such as Europe/Zurich or UTC",
            quoted(text)
        ));
    }
    let zone = if zone_name == "UTC" {
        Some(TimeZone::UTC)
    } else {
        Some(zone_name)
            .filter(|name| is_zone_name(name))
            .and_then(find_zone)
    };
    let zone = zone.ok_or_else(|| {
        format!(
            "there is no time zone {}; zones are named as in /usr/share/zoneinfo: Europe/Zurich, UTC",
            quoted(zone_name)
        )
    })?;
    Ok(Window {
        days,
        from,
        to,
        zone,
        zone_name: zone_name.to_owned(),
    })
}

/// Whoever looks zones up may take a name for a path, or for the machine's own zone.
fn is_zone_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let part = |part: &str| !part.is_empty() && part.chars().all(plain);
    name.len() <= 64 && name.split('/').all(part) && !name.eq_ignore_ascii_case("local")
}

fn days(text: &str) -> Result<Days, String> {
    let wrong = || {
        let days = DAYS.join(", ");
        format!(
            "{} are no days; write them as {days}, with .. between first and last and commas between several",
            quoted(text)
        )
    };
    let day = |text: &str| {
        let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
        found.ok_or_else(wrong)
    };
    let mut days = 0_u8;
    for part in text.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // A week goes round: Sat..Mon is three days.
        let length = (last + 7 - first) % 7;
        for number in first..=first + length {
            let bit = 1 << (number % 7);
            if days & bit != 0 {
                return Err(format!("{} lists {} twice", quoted(text), DAYS[number % 7]));
            }
            days |= bit;
        }
    }
    Ok(Days(days))
}

fn hours(text: &str) -> Result<(u16, u16), String> {
    let wrong = || {
        format!(
            "{} are no hours; write HH:MM-HH:MM, 00:00 to 24:00",
            quoted(text)
        )
    };
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (
        minutes(from).ok_or_else(wrong)?,
        minutes(to).ok_or_else(wrong)?,
    );
    if from == DAY || to == 0 {
        return Err(format!(
            "{} are no hours: a day begins at 00:00 and ends at 24:00",
            quoted(text)
        ));
    }
    if from == to {
        return Err(format!(
            "{} is an empty window: it would match nothing; a whole day is 00:00-24:00",
            quoted(text)
        ));
    }
    Ok((from, to))
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

impl Window {
    fn holds(&self, now: Timestamp) -> bool {
        let wall: DateTime = self.zone.to_datetime(now);
        let [hour, minute] =
            [wall.hour(), wall.minute()].map(|part| u16::from(part.unsigned_abs()));
        let minute = hour * 60 + minute;
        let today = wall.weekday().to_monday_zero_offset().unsigned_abs();
        if self.from < self.to {
            return self.days.contains(today) && (self.from..self.to).contains(&minute);
        }
        // Across midnight: begun today, or yesterday and not over yet.
        let yesterday = (today + 6) % 7;
        (minute >= self.from && self.days.contains(today))
            || (minute < self.to && self.days.contains(yesterday))
    }
}

impl Days {
    const fn contains(self, day: u8) -> bool {
        self.0 & (1 << day) != 0
    }
}

impl Condition for Windows {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        if sense == Sense::Open {
            return Truth::Unknown;
        }
        match Timestamp::from_second(request.now) {
            Ok(now) => self.0.iter().any(|window| window.holds(now)).into(),
            // A clock that shows the year 30000 shows nothing.
            Err(_) => Truth::Unknown,
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Time)
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        QuotedList(&windows).fmt(f)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_day = (self.from, self.to) == (0, DAY);
        if self.days != EVERY_DAY {
            write!(f, "{} ", self.days)?;
        }
        if !whole_day || self.days == EVERY_DAY {
            for (sign, minutes) in [("", self.from), ("-", self.to)] {
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.zone_name)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |day: usize| day < DAYS.len() && self.0 & (1 << day) != 0;
        let mut comma = "";
        let begins = (0..DAYS.len()).filter(|day| listed(*day) && !(*day > 0 && listed(day - 1)));
        for first in begins {
            let last = (first..DAYS.len()).take_while(|day| listed(*day)).last();
            let last = last.unwrap_or(first);
            write!(f, "{comma}{}", DAYS[first])?;
            if last > first {
                write!(f, "..{}", DAYS[last])?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
