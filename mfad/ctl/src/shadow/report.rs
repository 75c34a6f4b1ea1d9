//! Counts the logins that the policy in the shadow would have changed, and draws them. It reads no record but what it is given.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::render;

/// What the shadow would have done, as the audit trail says it, and for people.
const CHANGES: [(&str, &str); 6] = [
    ("deny", "would deny"),
    ("ask", "would ask"),
    ("ask-otherwise", "would ask for something else"),
    ("enroll", "would have them enroll"),
    ("not-ask", "would not ask"),
    ("undecided", "nobody can say"),
];
/// Outcomes that end a login. A wrong code does not: the login goes on, or another one follows.
const ENDS: [&str; 3] = ["granted", "not-required", "denied"];
/// Longest bar, in characters.
const WIDTH: usize = 30;
/// Most lines of a table.
const MOST_LINES: usize = 20;
/// Longest name that is shown, in characters.
const LONGEST: usize = 40;

/// How often each change was met, in the order of [`CHANGES`].
type Counts = [u64; CHANGES.len()];

/// What was counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    since: Option<i64>,
    logins: u64,
    changes: Counts,
    users: BTreeMap<String, Counts>,
    rules: BTreeMap<String, Counts>,
    /// By the start of the hour, so that each zone has its days.
    hours: BTreeMap<i64, Counts>,
    complete: bool,
}

impl Tally {
    /// Nothing yet.
    pub(super) const fn since(since: Option<i64>) -> Self {
        Self {
            since,
            logins: 0,
            changes: [0; CHANGES.len()],
            users: BTreeMap::new(),
            rules: BTreeMap::new(),
            hours: BTreeMap::new(),
            complete: false,
        }
    }

    /// Counts a record, if it is of a login that ended.
    pub(super) fn count(&mut self, time: i64, record: &str) {
        let Ok(Value::Object(fields)) = serde_json::from_str(record) else {
            return;
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let ended = text("outcome").is_some_and(|outcome| ENDS.contains(&outcome));
        if text("event") != Some("authentication") || !ended {
            return;
        }
        self.logins += 1;
        let change =
            text("shadow").and_then(|word| CHANGES.iter().position(|(known, _)| *known == word));
        let Some(change) = change else { return };
        let user = render::shown(text("user").unwrap_or("(nobody)"));
        let rule = text("shadow-rule").map_or_else(
            || "(no rule: any factor)".to_owned(),
            |rule| format!("“{}”", render::shown(rule)),
        );
        let hour = time.div_euclid(3600) * 3600;
        for counts in [
            &mut self.changes,
            self.users.entry(user).or_default(),
            self.rules.entry(rule).or_default(),
            self.hours.entry(hour).or_default(),
        ] {
            if let Some(count) = counts.get_mut(change) {
                *count += 1;
            }
        }
    }

    /// All there was has been counted.
    pub(super) const fn finish(&mut self) {
        self.complete = true;
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let list = |counted: &BTreeMap<String, Counts>, key: &str| {
            let mut list = Vec::new();
            for (name, counts) in sorted(counted) {
                let mut object = by_word(counts);
                object.insert(key.to_owned(), json!(name));
                list.push(Value::Object(object));
            }
            list
        };
        json!({
            "since": self.since,
            "logins": self.logins,
            "changed": sum(&self.changes),
            "changes": by_word(&self.changes),
            "users": list(&self.users, "user"),
            "rules": list(&self.rules, "rule"),
            "complete": self.complete,
        })
    }

    /// Tables with bars.
    pub(super) fn text(&self, zone: &TimeZone) -> String {
        let since = match self.since {
            Some(since) => format!("since {}", render::moment(since, zone)),
            None => "in the audit trail".to_owned(),
        };
        let changed = sum(&self.changes);
        let mut text = format!(
            "Logins {since}: {}. The shadow would have changed {changed} of them.\n",
            self.logins
        );
        if !self.complete {
            text.push_str("There are older ones, which are not counted: choose a --since.\n");
        }
        if changed == 0 {
            return text;
        }
        let names = CHANGES.iter().map(|(_, name)| (*name).to_owned());
        let totals = names.zip(self.changes).filter(|(_, count)| *count > 0);
        let totals = totals.map(|(name, count)| (name, count, String::new()));
        draw(&mut text, "how", &totals.collect::<Vec<_>>());
        draw(&mut text, "by user", &lines(sorted(&self.users)));
        draw(
            &mut text,
            "by rule of the shadow",
            &lines(sorted(&self.rules)),
        );
        draw(
            &mut text,
            "by day",
            &lines(
                self.days(zone)
                    .iter()
                    .map(|(day, counts)| (day.as_str(), counts))
                    .collect(),
            ),
        );
        text
    }

    /// The newest days, oldest first.
    fn days(&self, zone: &TimeZone) -> Vec<(String, Counts)> {
        let mut days: BTreeMap<String, Counts> = BTreeMap::new();
        for (hour, counts) in &self.hours {
            let moment = Timestamp::from_second(*hour).unwrap_or_default();
            let day = zone.to_datetime(moment).date().to_string();
            let held = days.entry(day).or_default();
            for (held, count) in held.iter_mut().zip(counts) {
                *held += count;
            }
        }
        let left_out = days.len().saturating_sub(MOST_LINES);
        days.into_iter().skip(left_out).collect()
    }
}

fn sum(counts: &Counts) -> u64 {
    counts.iter().sum()
}

fn by_word(counts: &Counts) -> Map<String, Value> {
    let words = CHANGES.iter().zip(counts);
    words
        .map(|((word, _), count)| ((*word).to_owned(), json!(count)))
        .collect()
}

/// The most changed first.
fn sorted(counted: &BTreeMap<String, Counts>) -> Vec<(&str, &Counts)> {
    let mut list: Vec<(&str, &Counts)> = counted
        .iter()
        .map(|(name, counts)| (name.as_str(), counts))
        .collect();
    list.sort_by_key(|(_, counts)| std::cmp::Reverse(sum(counts)));
    list
}

/// Name, number, and what it is made of.
fn lines(list: Vec<(&str, &Counts)>) -> Vec<(String, u64, String)> {
    let line = |(name, counts): (&str, &Counts)| {
        let parts = CHANGES.iter().zip(counts).filter(|(_, count)| **count > 0);
        let parts: Vec<String> = parts
            .map(|((word, _), count)| format!("{word} {count}"))
            .collect();
        (
            name.chars().take(LONGEST).collect(),
            sum(counts),
            parts.join(", "),
        )
    };
    list.into_iter().map(line).collect()
}

/// Draws a bar for each line; the longest is the greatest.
fn draw(text: &mut String, title: &str, lines: &[(String, u64, String)]) {
    let _ = writeln!(text, "\n{title}");
    let shown = lines.get(..MOST_LINES.min(lines.len())).unwrap_or_default();
    let greatest = shown
        .iter()
        .map(|(_, count, _)| *count)
        .max()
        .unwrap_or(1)
        .max(1);
    let width = shown
        .iter()
        .map(|(name, ..)| name.chars().count())
        .max()
        .unwrap_or(0);
    let digits = greatest.to_string().len();
    for (name, count, parts) in shown {
        let bar = "█".repeat(length(*count, greatest));
        let line = format!("  {name:width$}  {count:digits$}  {bar}  {parts}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let left_out = lines.len() - shown.len();
    if left_out > 0 {
        let _ = writeln!(text, "  and {left_out} more");
    }
}

/// Of [`WIDTH`]; whatever was counted shows.
fn length(count: u64, greatest: u64) -> usize {
    let scaled = count.saturating_mul(WIDTH as u64) / greatest;
    usize::try_from(scaled).unwrap_or(WIDTH).clamp(1, WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn record(user: &str, outcome: &str, shadow: Option<(&str, Option<&str>)>) -> String {
        let mut fields = json!({"event": "authentication", "outcome": outcome, "user": user});
        if let Some((would, rule)) = shadow {
            fields["shadow"] = json!(would);
            if let Some(rule) = rule {
                fields["shadow-rule"] = json!(rule);
            }
        }
        fields.to_string()
    }

    fn tally() -> Tally {
        let mut tally = Tally::since(Some(0));
        let strict = Some(("deny", Some("no strangers")));
        for (time, user, outcome, shadow) in [
            (10, "alice", "granted", strict),
            (20, "alice", "granted", None),
            (30, "alice", "wrong", strict),
            (DAY, "bob", "not-required", Some(("ask", None))),
            (DAY + 1, "bob", "not-required", Some(("ask", None))),
            (DAY + 2, "bob", "denied", Some(("not-ask", Some("office")))),
        ] {
            tally.count(time, &record(user, outcome, shadow));
        }
        tally.count(40, "{broken");
        tally.count(
            50,
            r#"{"event":"enrollment","outcome":"added","shadow":"deny"}"#,
        );
        tally.count(
            60,
            &record("x\u{1b}[2J", "granted", Some(("unheard-of", None))),
        );
        tally.finish();
        tally
    }

    #[test]
    fn ended_logins_are_counted_by_user_rule_and_day_and_drawn() {
        insta::assert_snapshot!(tally().text(&TimeZone::UTC), @"
        Logins since 1970-01-01 00:00:00: 6. The shadow would have changed 4 of them.

        how
          would deny     1  ███████████████
          would ask      2  ██████████████████████████████
          would not ask  1  ███████████████

        by user
          bob    3  ██████████████████████████████  ask 2, not-ask 1
          alice  1  ██████████  deny 1

        by rule of the shadow
          (no rule: any factor)  2  ██████████████████████████████  ask 2
          “no strangers”         1  ███████████████  deny 1
          “office”               1  ███████████████  not-ask 1

        by day
          1970-01-01  1  ██████████  deny 1
          1970-01-02  3  ██████████████████████████████  ask 2, not-ask 1
        ");
    }

    #[test]
    fn scripts_get_the_same_numbers() {
        let value = tally().json();
        assert_eq!(
            (&value["logins"], &value["changed"]),
            (&json!(6), &json!(4))
        );
        assert_eq!(value["users"][0]["user"], "bob");
        assert_eq!(value["users"][0]["ask"], 2);
        assert_eq!(value["changes"]["deny"], 1);
        assert_eq!(value["complete"], true);
    }

    #[test]
    fn a_name_from_outside_moves_no_cursor() {
        let mut tally = Tally::since(None);
        tally.count(
            0,
            &record("x\u{1b}[2J\n", "granted", Some(("deny", Some("\u{202e}r")))),
        );
        let text = tally.text(&TimeZone::UTC);
        assert!(
            !text
                .chars()
                .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{text:?}"
        );
    }

    #[test]
    fn each_change_shows_however_rare() {
        assert_eq!(length(1, 1_000_000), 1);
        assert_eq!(length(1_000_000, 1_000_000), WIDTH);
    }
}
