//! What people and scripts read: the daemon's words made into text and JSON. Pure; whatever came from the daemon is
//! made printable here.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mfad_protocol::{
    BudgetInfo, CredentialInfo, DaemonStatus, MAX_SHOWN, ReloadReport, UserInfo, printable,
};
use serde_json::{Value, json};

/// Longest text that is shown, in characters: a sentence of the daemon's with a path or two in it.
const LONGEST: usize = 2048;

/// `text` made [`printable`], up to a length that holds a few sentences.
pub fn shown(text: &str) -> String {
    let characters: Vec<char> = text.chars().take(LONGEST).collect();
    characters
        .chunks(MAX_SHOWN)
        .map(|part| printable(&part.iter().collect::<String>()))
        .collect()
}

/// Every string in `value` made printable.
pub fn shown_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(&text)),
        Value::Array(items) => items.into_iter().map(shown_json).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (shown(&key), shown_json(value)))
            .collect(),
        other => other,
    }
}

/// A moment in local time, as `2026-11-24 09:12:44`.
pub fn moment(seconds: i64, zone: &TimeZone) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| "?".to_owned(),
        |moment| {
            moment
                .to_zoned_datetime(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

/// Columns as wide as their content, two blanks apart.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn header(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|&title| title.to_owned()).collect()
}

/// What is wrong with the daemon, before anything else; nothing if all is well.
pub fn problems(problems: &[String]) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let mut text = "The daemon has something to tell:\n".to_owned();
    for problem in problems {
        let _ = writeln!(text, "  {}", shown(problem));
    }
    text.push_str("What was last in order stays in force. More: mfactl doctor\n\n");
    text
}

/// A user for the user themselves (`status`) or for an administrator (`user show`).
pub fn user(info: &UserInfo, zone: &TimeZone) -> String {
    let state = if info.enrolled {
        "has a second factor"
    } else {
        "has no second factor"
    };
    let mut text = format!("{} (uid {}) {state}.\n", shown(&info.user), info.uid);
    if let Some(login) = info.last_login {
        let _ = writeln!(text, "Last login with it: {}", moment(login, zone));
    }
    if !info.credentials.is_empty() {
        let mut rows = vec![header(&[
            "FACTOR",
            "KIND",
            "ENROLLED",
            "LAST USED",
            "DETAILS",
        ])];
        rows.extend(info.credentials.iter().map(|credential| {
            vec![
                shown(&credential.name),
                shown(&credential.kind),
                moment(credential.created, zone),
                used(credential.last_used, zone),
                details(credential),
            ]
        }));
        text.push('\n');
        text.push_str(&table(&rows));
    }
    let budgets: Vec<String> = info
        .budgets
        .iter()
        .filter_map(|spent| budget(spent, &info.user, zone))
        .collect();
    if !budgets.is_empty() {
        text.push('\n');
        text.push_str(&budgets.concat());
    }
    text
}

fn used(time: Option<i64>, zone: &TimeZone) -> String {
    time.map_or_else(|| "never".to_owned(), |time| moment(time, zone))
}

fn details(credential: &CredentialInfo) -> String {
    let left = credential.left.map(|left| format!("{left} left"));
    let detail = credential.detail.as_deref().map(shown);
    [detail, left]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

/// A guessing budget that is worth a line; untouched ones are not.
fn budget(info: &BudgetInfo, user: &str, zone: &TimeZone) -> Option<String> {
    let class = shown(&info.class);
    let spent = format!("{} of {} failures in 30 days", info.failures, info.limit);
    if info.disabled {
        return Some(format!(
            "Disabled: {class} ({spent}). An administrator unlocks it: sudo mfactl user unlock {}\n",
            shown(user)
        ));
    }
    if let Some(until) = info.delayed_until {
        return Some(format!(
            "Delayed: {class} until {} ({spent}).\n",
            moment(until, zone)
        ));
    }
    (info.failures > 0).then(|| format!("Failures: {class}, {spent}.\n"))
}

/// One page of users. The heading belongs to the first page only.
pub fn users(page: &[UserInfo], heading: bool, zone: &TimeZone) -> String {
    let mut rows = Vec::new();
    if heading {
        rows.push(header(&["USER", "UID", "FACTORS", "LAST LOGIN", "STATE"]));
    }
    rows.extend(page.iter().map(|info| {
        let factors: Vec<String> = info
            .credentials
            .iter()
            .map(|credential| shown(&credential.name))
            .collect();
        vec![
            shown(&info.user),
            info.uid.to_string(),
            factors.join(","),
            used(info.last_login, zone),
            standing(info).to_owned(),
        ]
    }));
    table(&rows)
}

fn standing(info: &UserInfo) -> &'static str {
    if info.budgets.iter().any(|budget| budget.disabled) {
        "disabled"
    } else if info
        .budgets
        .iter()
        .any(|budget| budget.delayed_until.is_some())
    {
        "delayed"
    } else if info.enrolled {
        "ok"
    } else {
        "not enrolled"
    }
}

/// A credential for scripts.
pub fn credential_json(info: &CredentialInfo) -> Value {
    shown_json(json!({
        "id": info.id,
        "kind": info.kind,
        "name": info.name,
        "created": info.created,
        "last_used": info.last_used,
        "detail": info.detail,
        "left": info.left,
    }))
}

/// A user for scripts.
pub fn user_json(info: &UserInfo) -> Value {
    let credentials: Vec<Value> = info.credentials.iter().map(credential_json).collect();
    let budgets: Vec<Value> = info
        .budgets
        .iter()
        .map(|budget| {
            json!({
                "class": budget.class,
                "failures": budget.failures,
                "limit": budget.limit,
                "delayed_until": budget.delayed_until,
                "disabled": budget.disabled,
            })
        })
        .collect();
    shown_json(json!({
        "user": info.user,
        "uid": info.uid,
        "enrolled": info.enrolled,
        "credentials": credentials,
        "budgets": budgets,
        "last_login": info.last_login,
    }))
}

/// A reload's report.
pub fn reload(report: &ReloadReport) -> String {
    let mut text = if report.applied {
        "Reloaded: the files on disk are in force.\n".to_owned()
    } else {
        "Not reloaded: the policy that was in force stays in force.\n".to_owned()
    };
    for error in &report.errors {
        let _ = writeln!(text, "  {}", shown(error));
    }
    if !report.applied {
        text.push_str("Correct the files and check them with: mfactl policy check\n");
    }
    text
}

/// A reload's report for scripts.
pub fn reload_json(report: &ReloadReport) -> Value {
    shown_json(json!({"applied": report.applied, "errors": report.errors}))
}

/// The daemon in one line, for `doctor`.
pub fn daemon(status: &DaemonStatus, zone: &TimeZone) -> String {
    let mut text = format!(
        "mfad {} answers (protocol {}), started {}",
        shown(&status.version),
        status.protocol,
        moment(status.started, zone),
    );
    // What the daemon does not know is left out: none would be another thing.
    if let Some(enrolled) = status.enrolled {
        let _ = write!(text, ", {enrolled} enrolled");
    }
    if let Some(rules) = status.rules {
        let _ = write!(text, ", {rules} rules");
    }
    text
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
