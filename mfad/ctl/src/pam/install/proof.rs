//! Whether somebody got in through the new stacks: what `pam confirm` wants to see. A confirmation by the shell that made
//! the change proves nothing, and neither does a login that sudo's timestamp or an open connection let through.

use std::fs;
use std::time::Duration;

use mfad_protocol::AuditQuery;
use serde_json::Value;

use super::journal::{Process, Record};
use super::refused;
use crate::administration::failure;
use crate::command::Console;
use crate::failure::Failure;

/// Most audit records that are looked through.
const RECORDS: u32 = 1000;
/// Most processes above one.
const MOST_ANCESTORS: usize = 64;
/// The daemon notes that a login was completed within a second; so often it is asked again.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(700);

/// The shells and other programs on a terminal above this process. Desktop terminals and sshd serve many logins, and have
/// no terminal themselves.
pub(super) fn ancestors() -> Vec<Process> {
    let mut found = Vec::new();
    let mut pid = std::process::id();
    for _ in 0..MOST_ANCESTORS {
        let Some((parent, process, on_terminal)) = look(pid) else {
            break;
        };
        if pid != std::process::id() && on_terminal {
            found.push(process);
        }
        if parent <= 1 {
            break;
        }
        pid = parent;
    }
    found
}

/// A process's parent, the process, and whether it has a terminal: fields 4, 22 and 7 of proc(5)'s stat.
fn look(pid: u32) -> Option<(u32, Process, bool)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let on_terminal = *fields.get(4)? != "0";
    let started = fields.get(19)?.parse().ok()?;
    Some((parent, Process { pid, started }, on_terminal))
}

/// For each service who proved it; a refusal that says what is missing otherwise.
pub(super) async fn all(
    console: &Console<'_>,
    record: &Record,
    untried: &[String],
) -> Result<Vec<(String, String)>, Failure> {
    if ancestors()
        .iter()
        .any(|process| record.ancestors.contains(process))
    {
        return Err(refused(
            "This is the shell in which they were installed: log in anew, and confirm from there.",
        ));
    }
    let wanted: Vec<&str> = record
        .items
        .iter()
        .map(|item| item.service.as_str())
        .filter(|service| !untried.iter().any(|name| name == service))
        .collect();
    if wanted.is_empty() {
        return Err(refused("At least one of them must have been tried."));
    }
    let mut missing = Vec::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let granted = granted(console, record).await?;
        let mut proven = Vec::new();
        missing.clear();
        for service in &wanted {
            match who(console, &granted, service).await? {
                Some(user) => proven.push(((*service).to_owned(), user)),
                None => missing.push((*service).to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(proven);
        }
    }
    Err(refused(format!(
        "Since they were installed nobody has logged in, with a code and to the end, by: {}. Do that in a new session \
         (`sudo -k` first: its timestamp skips the code), then confirm. What you cannot try: --untried {}",
        missing.join(", "),
        missing.join(" --untried ")
    )))
}

/// A login with a right code.
struct Granted {
    time: i64,
    user: String,
    service: String,
}

async fn granted(console: &Console<'_>, record: &Record) -> Result<Vec<Granted>, Failure> {
    let proxy = console.client.administration().await?;
    let query = AuditQuery {
        user: None,
        since: Some(record.applied),
        after: None,
        before: None,
        limit: Some(RECORDS),
    };
    let records = proxy
        .audit(query)
        .await
        .map_err(|error| failure(console, error))?;
    let text =
        |fields: &Value, key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(records
        .iter()
        // The second in which they were put into place may hold a login from before.
        .filter(|(_, time, _)| *time > record.applied)
        .filter_map(|(_, time, line)| {
            let fields: Value = serde_json::from_str(line).ok()?;
            let is =
                |key: &str, value: &str| fields.get(key).and_then(Value::as_str) == Some(value);
            if !is("event", "authentication") || !is("outcome", "granted") {
                return None;
            }
            // A stack's module asks as root. Anybody else's word is a trial: `mfactl test --service sudo`.
            if fields.get("by").and_then(Value::as_u64) != Some(0) {
                return None;
            }
            Some(Granted {
                time: *time,
                user: text(&fields, "user")?,
                service: text(&fields, "service")?,
            })
        })
        .collect())
}

/// Somebody whose login by `service` had a right code and came to its end.
async fn who(
    console: &Console<'_>,
    granted: &[Granted],
    service: &str,
) -> Result<Option<String>, Failure> {
    let proxy = console.client.administration().await?;
    for login in granted
        .iter()
        .filter(|login| is_same(&login.service, service))
    {
        if service == "passwd" {
            // There the code ends it: no account phase follows.
            return Ok(Some(login.user.clone()));
        }
        let info = proxy
            .show_user(&login.user)
            .await
            .map_err(|error| failure(console, error))?;
        if info.last_login.is_some_and(|last| last >= login.time) {
            return Ok(Some(login.user.clone()));
        }
    }
    Ok(None)
}

/// `sudo` and `sudo -i` share a timestamp, and their stacks differ in the session phase alone.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |name: &str| match name {
        "sudo-i" => "sudo".to_owned(),
        "su-l" => "su".to_owned(),
        other => other.to_owned(),
    };
    plain(one) == plain(other)
}
