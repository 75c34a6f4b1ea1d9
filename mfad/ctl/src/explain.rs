//! `mfactl policy explain`: asks the daemon what its policy says of a login, and why, and shows it. It decides nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::tz::TimeZone;
use mfad_protocol::{ExplainQuery, PolicyExplanation, limits};
use policy::Reasons;
use serde_json::{Value, json};

use crate::administration::failure;
use crate::command::Console;
use crate::failure::{Failure, Refusal};
use crate::reasons;
use crate::render::{self, shown};
use crate::since;

/// The login in question.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Who logs in
    #[arg(long, required_unless_present = "audit")]
    pub user: Option<String>,
    /// At which PAM service
    #[arg(long, required_unless_present = "audit")]
    pub service: Option<String>,
    /// A past login: the number of its record, as `mfactl audit` shows it
    #[arg(
        long,
        value_name = "ID",
        value_parser = clap::value_parser!(i64).range(1..),
        conflicts_with_all = [
            "user", "service", "target", "rhost", "tty", "seat", "first", "key", "key_file", "country", "device",
            "risk", "signal", "last_mfa", "at",
        ]
    )]
    pub audit: Option<i64>,
    /// From which address; “local” for a login without a far end
    #[arg(long, value_name = "ADDRESS")]
    pub rhost: Option<String>,
    /// Which key was proven: SHA256:… as `ssh-keygen -l` prints it
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// The same, from the key's or the certificate's .pub file
    #[arg(long, value_name = "FILE", conflicts_with = "first")]
    pub key_file: Option<PathBuf>,
    /// What was proven; may be given several times
    #[arg(long, value_name = "FACTOR", value_parser = ["password", "publickey", "certificate", "sk-key"])]
    pub first: Vec<String>,
    /// On which terminal
    #[arg(long)]
    pub tty: Option<String>,
    /// At which seat, or none
    #[arg(long)]
    pub seat: Option<String>,
    /// For su with the caller as its subject: who is switched to
    #[arg(long, value_name = "USER")]
    pub target: Option<String>,
    /// From which country: two letters, or none
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// How risky it looks
    #[arg(long, value_name = "LEVEL", value_parser = ["none", "low", "medium", "high"])]
    pub risk: Option<String>,
    /// A sign of risk that it shows; may be given several times
    #[arg(long)]
    pub signal: Vec<String>,
    /// Whether the device is known or new
    #[arg(long, value_name = "WHICH", value_parser = ["known", "new"])]
    pub device: Option<String>,
    /// How long ago a second factor was proven: an age such as 90m, 1h, 2d; or never
    #[arg(long, value_name = "AGE")]
    pub last_mfa: Option<String>,
    /// When: 2026-12-24T02:00Z, 2026-12-24, or an age such as 2d
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `mfactl policy explain`.
pub async fn run(console: &mut Console<'_>, what: ExplainArgs) -> Result<(), Failure> {
    let query = query(console, what)?;
    let proxy = console.administration().await?;
    let explained = proxy
        .explain_policy(query)
        .await
        .map_err(|error| failure(console, error))?;
    let reasons: Reasons = serde_json::from_str(&explained.reasons).map_err(|error| {
        let text = format!("The daemon's reasons cannot be read ({error}): mfactl and mfad may be of different versions.");
        Failure::Refused(Refusal::Other, text)
    })?;
    let text = text(&explained, &reasons, &console.zone);
    console.show(&render::shown_json(json(&explained, &reasons)), &text)
}

fn query(console: &Console<'_>, what: ExplainArgs) -> Result<ExplainQuery, Failure> {
    let at = what
        .at
        .map(|text| since::parse(&text, console.now, &console.zone))
        .transpose()?;
    let last_mfa = match what.last_mfa.as_deref() {
        None => None,
        Some("never") => Some(-1),
        Some(text) => Some(since::age(text).map(|age| age.as_secs()).ok_or_else(|| {
            Failure::Usage(format!(
                "“{}” is not an age: write 90m, 1h or 2d, or never.",
                shown(text)
            ))
        })?),
    };
    Ok(ExplainQuery {
        audit: what.audit,
        user: what.user,
        service: what.service,
        target: what.target,
        rhost: what.rhost,
        tty: what.tty,
        seat: what.seat,
        first: Some(what.first).filter(|first| !first.is_empty()),
        key: what.key,
        public_key: what.key_file.as_deref().map(public_key).transpose()?,
        country: what.country,
        device: what.device,
        risk: what.risk,
        signals: Some(what.signal).filter(|signals| !signals.is_empty()),
        last_mfa,
        at,
    })
}

/// The key in a `.pub` file, without its comment, which is nobody's business.
fn public_key(path: &Path) -> Result<String, Failure> {
    let wrong = |what: &str| {
        let name = shown(&path.display().to_string());
        Failure::Usage(format!("{name} {what}"))
    };
    let mut text = String::new();
    let limit = limits::SSH_AUTH_INFO as u64;
    File::open(path)
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .map_err(|error| wrong(&format!("cannot be read: {error}.")))?;
    let mut words = text.split_whitespace();
    let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
        return Err(wrong("holds no public key: give the .pub file."));
    };
    // A private key's file begins with dashes.
    if kind.starts_with('-') {
        return Err(wrong("is no public key: give the .pub file."));
    }
    Ok(format!("{kind} {encoded}"))
}

fn text(explained: &PolicyExplanation, reasons: &Reasons, zone: &TimeZone) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} at {}, {}: {}",
        shown(&explained.user),
        shown(&explained.service),
        render::moment(explained.at, zone),
        shown(&explained.detail),
    );
    let by = match &explained.rule {
        Some(rule) => format!("by “{}”", shown(rule)),
        None => "by no rule".to_owned(),
    };
    let _ = writeln!(text, "  require = {}, {by}", shown(&explained.require));
    if !explained.unknown.is_empty() {
        let unknown = shown(&explained.unknown.join(", "));
        let _ = writeln!(
            text,
            "  not known, and it could have changed that: {unknown}"
        );
    }
    let enrolled = if explained.enrolled.is_empty() {
        "nothing".to_owned()
    } else {
        shown(&explained.enrolled.join(", "))
    };
    let unenrolled = shown(&explained.unenrolled);
    let _ = writeln!(
        text,
        "  enrolled: {enrolled}; who has nothing gets: {unenrolled}"
    );
    if let Some(remember) = &explained.remember {
        let _ = writeln!(text, "  {}", shown(remember));
    }
    for difference in explained.differences.iter().flatten() {
        let _ = writeln!(text, "  differs: {}", shown(difference));
    }
    if explained.differences.as_ref().is_some_and(Vec::is_empty) {
        text.push_str("  as it was then\n");
    }
    let _ = write!(text, "\nSteps\n{}", reasons::steps(reasons));
    let _ = write!(text, "\nRules\n{}", reasons::rules(reasons, |_| true));
    text.push_str("\nThe login\n");
    let rows: Vec<Vec<String>> = explained
        .facts
        .iter()
        .map(|(key, value, from)| vec![format!("  {}", shown(key)), shown(value), words(from)])
        .collect();
    text.push_str(&render::table(&rows));
    text
}

/// Where a fact is from.
fn words(from: &str) -> String {
    match from {
        "given" => "as you say".to_owned(),
        "looked-up" => "looked up".to_owned(),
        "recorded" => "as recorded".to_owned(),
        "not-asked" => "no rule asks".to_owned(),
        "unknown" => String::new(),
        other => shown(other),
    }
}

fn json(explained: &PolicyExplanation, reasons: &Reasons) -> Value {
    let facts: Vec<Value> = explained
        .facts
        .iter()
        .map(|(condition, value, from)| json!({"condition": condition, "value": value, "from": from}))
        .collect();
    let record: Option<Value> = explained
        .record
        .as_deref()
        .and_then(|record| serde_json::from_str(record).ok());
    json!({
        "user": explained.user,
        "service": explained.service,
        "at": explained.at,
        "outcome": explained.outcome,
        "detail": explained.detail,
        "require": explained.require,
        "rule": explained.rule,
        "unknown": explained.unknown,
        "enrolled": explained.enrolled,
        "unenrolled": explained.unenrolled,
        "remember": explained.remember,
        "facts": facts,
        "reasons": reasons,
        "record": record,
        "differences": explained.differences,
    })
}
