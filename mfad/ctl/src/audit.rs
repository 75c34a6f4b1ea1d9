//! Shows the audit trail: a readable line or a JSON object for each record. It changes nothing.

use std::time::Duration;

use jiff::tz::TimeZone;
use mfad_protocol::AuditQuery;
use nix::unistd::geteuid;
use serde_json::{Map, Value, json};

use crate::administration::failure;
use crate::command::Console;
use crate::failure::Failure;
use crate::render;

/// How often `--follow` asks for news.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most records that are taken at once while following.
const BURST: u32 = 1000;

/// Which records.
#[derive(Debug)]
pub struct Wanted {
    /// Only this user's.
    pub user: Option<String>,
    /// Only at or after this time, in seconds since the epoch.
    pub since: Option<i64>,
    /// The newest so many.
    pub limit: u32,
}

/// `mfactl audit`.
pub async fn run(console: &mut Console<'_>, wanted: Wanted, follow: bool) -> Result<(), Failure> {
    if follow && !geteuid().is_root() {
        // Each question for news is an act of its own, and polkit would ask for the password every second.
        return Err(Failure::NeedsRoot {
            command: format!("sudo mfactl {}", console.arguments),
        });
    }
    let proxy = console.administration().await?;
    let mut query = AuditQuery {
        user: wanted.user,
        since: wanted.since,
        after: None,
        before: None,
        limit: Some(wanted.limit),
    };
    let mut last = 0;
    loop {
        let records = proxy
            .audit(query.clone())
            .await
            .map_err(|error| failure(console, error))?;
        for (sequence, time, record) in &records {
            last = last.max(*sequence);
            let line = if console.json {
                json_line(*sequence, *time, record).to_string()
            } else {
                format!("{sequence}  {}", line(*time, record, &console.zone))
            };
            console.terminal.line(&line)?;
        }
        if !follow {
            return Ok(());
        }
        query.after = Some(last);
        query.limit = Some(BURST);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A record's fields; one that is no JSON object is shown as it is, never dropped.
fn fields(record: &str) -> Map<String, Value> {
    match serde_json::from_str(record).map(render::shown_json) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::from_iter([("unreadable".to_owned(), json!(render::shown(record)))]),
    }
}

fn json_line(sequence: i64, time: i64, record: &str) -> Value {
    let mut fields = fields(record);
    fields.insert("sequence".to_owned(), json!(sequence));
    fields.insert("time".to_owned(), json!(time));
    Value::Object(fields)
}

/// `time event outcome: user, service, from, tty, factor, rule, by, detail`, without what is not known.
fn line(time: i64, record: &str, zone: &TimeZone) -> String {
    let fields = fields(record);
    let text = |key: &str| match fields.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut line = render::moment(time, zone);
    if let Some(unreadable) = text("unreadable") {
        return format!("{line}  unreadable record: {unreadable}");
    }
    for key in ["event", "outcome"] {
        line.push_str("  ");
        line.push_str(&text(key).unwrap_or_else(|| "?".to_owned()));
    }
    let labelled = [
        ("user", ""),
        ("service", "at "),
        ("rhost", "from "),
        ("tty", "on "),
        ("factor", "with "),
        ("rule", "rule "),
        ("by", "by uid "),
        ("detail", ""),
    ];
    let known: Vec<String> = labelled
        .into_iter()
        .filter_map(|(key, label)| {
            let value = text(key)?;
            // A rule's name is a phrase of the administrator's, often with commas.
            let quoted = key == "rule";
            Some(if quoted {
                format!("{label}“{value}”")
            } else {
                format!("{label}{value}")
            })
        })
        .collect();
    if !known.is_empty() {
        line.push_str("  ");
        line.push_str(&known.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: &str = r#"{"time":1795511564,"event":"authentication","outcome":"granted","user":"alice",
        "service":"sshd","rhost":"203.0.113.9","tty":"ssh","factor":"totp phone","rule":"operators, from anywhere"}"#;

    #[test]
    fn a_record_is_one_readable_line() {
        insta::assert_snapshot!(line(1_795_511_564, GRANTED, &TimeZone::UTC), @"2026-11-24 09:12:44  authentication  granted  alice, at sshd, from 203.0.113.9, on ssh, with totp phone, rule “operators, from anywhere”");
        let reset = r#"{"time":1,"event":"administration","outcome":"reset","user":"bob","by":0}"#;
        insta::assert_snapshot!(line(1_795_511_600, reset, &TimeZone::UTC), @"2026-11-24 09:13:20  administration  reset  bob, by uid 0");
    }

    #[test]
    fn a_record_for_scripts_carries_its_sequence_number() {
        insta::assert_snapshot!(json_line(7, 1_795_511_564, GRANTED), @r#"{"event":"authentication","factor":"totp phone","outcome":"granted","rhost":"203.0.113.9","rule":"operators, from anywhere","sequence":7,"service":"sshd","time":1795511564,"tty":"ssh","user":"alice"}"#);
    }

    #[test]
    fn a_forged_or_broken_record_cannot_move_the_cursor() {
        let forged =
            r#"{"event":"authentication","outcome":"denied","user":"a\u001b[2J\nroot\u202e"}"#;
        let shown = line(0, forged, &TimeZone::UTC);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        insta::assert_snapshot!(line(0, "{broken\n\u{1b}[2J", &TimeZone::UTC), @"1970-01-01 00:00:00  unreadable record: {broken��[2J");
        insta::assert_snapshot!(json_line(1, 0, "[1]"), @r#"{"sequence":1,"time":0,"unreadable":"[1]"}"#);
    }
}
