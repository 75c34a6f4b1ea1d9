//! `mfactl policy shadow`: whether a policy is evaluated in the shadow, and which logins it would have changed, counted from the
//! audit trail. It changes nothing.

mod report;

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use mfad_protocol::{AuditQuery, DaemonStatus, names};
use nix::unistd::geteuid;
use serde_json::json;

use crate::administration::failure;
use crate::command::Console;
use crate::failure::Failure;
use crate::render;

use report::Tally;

/// Most records that one answer holds.
const PAGE: u32 = 1000;
/// Most pages that are read: more records than the trail keeps unless it is told to.
const MOST_PAGES: usize = 1000;

/// What about the shadow.
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    /// Count the logins that it would have changed, by user and rule
    #[command(after_help = "\
Counted are the logins of the audit trail that were let in or refused, and of them those for which the shadow had
another decision at the time.
Examples:
  sudo mfactl policy shadow report
  sudo mfactl policy shadow report --since 7d --json")]
    Report(ReportArgs),
}

/// Which logins.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Only since then: 2026-11-24T08:00:00Z, 2026-11-24, or an age such as 90m, 1h, 2d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// `mfactl policy shadow …`.
pub async fn run(
    console: &mut Console<'_>,
    command: Option<&ShadowCommand>,
) -> Result<(), Failure> {
    match command {
        None => state(console).await,
        Some(ShadowCommand::Report(what)) => report(console, what).await,
    }
}

/// Whether there is one.
async fn state(console: &mut Console<'_>) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    let status = proxy
        .status()
        .await
        .map_err(|error| failure(console, error))?;
    let problems = status.shadow_problems.clone().unwrap_or_default();
    let value = json!({
        "evaluated": status.shadow_rules.is_some(),
        "rules": status.shadow_rules,
        "problems": render::shown_json(json!(problems)),
    });
    console.show(&value, &described(&status, &problems))?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

fn described(status: &DaemonStatus, problems: &[String]) -> String {
    let file = format!("{}/{}", names::CONFIG_DIR, names::SHADOW_FILE);
    if !problems.is_empty() {
        let mut text = String::new();
        for problem in problems {
            let _ = writeln!(text, "{}", render::shown(problem));
        }
        let _ = writeln!(
            text,
            "{file} is not evaluated. Logins are not affected. Mend it, and run: mfactl policy reload"
        );
        return text;
    }
    match status.shadow_rules {
        Some(rules) => format!(
            "{file} is evaluated beside the policy in force, and decides nothing. Rules: {rules}.\n\
             What it would have changed: mfactl policy shadow report\n"
        ),
        None => format!(
            "Nothing is in the shadow. Write a whole policy to {file}, and run: mfactl policy reload\n"
        ),
    }
}

/// What it would have changed.
async fn report(console: &mut Console<'_>, what: &ReportArgs) -> Result<(), Failure> {
    if !geteuid().is_root() {
        // Each page is an act of its own, and polkit would ask for the password again and again.
        return Err(Failure::NeedsRoot {
            command: format!("sudo mfactl {}", console.arguments),
        });
    }
    let since = what
        .since
        .as_deref()
        .map(|text| crate::since::parse(text, console.now, &console.zone))
        .transpose()?;
    let proxy = console.administration().await?;
    let mut tally = Tally::since(since);
    let mut before = None;
    for _ in 0..MOST_PAGES {
        let query = AuditQuery {
            since,
            before,
            limit: Some(PAGE),
            ..AuditQuery::default()
        };
        let records = proxy
            .audit(query)
            .await
            .map_err(|error| failure(console, error))?;
        for (_, time, record) in &records {
            tally.count(*time, record);
        }
        // A page that is not full is the last; a daemon that does not go back would never end.
        let oldest = records.first().map(|(sequence, ..)| *sequence);
        match oldest {
            Some(oldest)
                if records.len() >= PAGE as usize && before.is_none_or(|last| oldest < last) =>
            {
                before = Some(oldest);
            }
            _ => {
                tally.finish();
                break;
            }
        }
    }
    console.show(&tally.json(), &tally.text(&console.zone))
}
