//! `mfactl require` and `mfactl prefer`: what a user demands for their own logins beyond the policy, and which factor they are
//! asked for first. The daemon reads the demands; here they are only written down.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::administration;
use crate::cli::Kind;
use crate::client::failure;
use crate::command::Console;
use crate::failure::Failure;
use crate::own::with_grant;
use crate::render;

/// Longest text that is sent, in bytes: what the daemon keeps.
const LONGEST: u64 = 4096;

/// What is demanded in addition.
#[derive(Debug, Args)]
pub struct RequireArgs {
    /// Factors of which one is demanded (with --count, several): totp, hotp, backup-codes, or any
    #[arg(value_name = "FACTOR", conflicts_with_all = ["file", "clear"])]
    pub factors: Vec<String>,
    /// How many different factors
    #[arg(long, requires = "factors", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub count: Option<u8>,
    /// Only at this service; may be given several times
    #[arg(long, requires = "factors", value_name = "SERVICE")]
    pub service: Vec<String>,
    /// What to call it (chosen for you otherwise)
    #[arg(long, requires = "factors")]
    pub name: Option<String>,
    /// Replace everything by the tables of rules in this file (- is the standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "clear")]
    pub file: Option<PathBuf>,
    /// Demand nothing beyond the policy any more
    #[arg(long)]
    pub clear: bool,
}

/// `mfactl require`.
pub async fn require(console: &mut Console<'_>, what: &RequireArgs) -> Result<(), Failure> {
    let proxy = console.client.enrollment().await?;
    let text = if what.clear {
        String::new()
    } else if let Some(file) = &what.file {
        read(file)?
    } else {
        let before = proxy.status().await.map_err(failure)?.requirement;
        let before = before.unwrap_or_default();
        if what.factors.is_empty() {
            return show(console, &before);
        }
        added(&before, what)?
    };
    with_grant(console.client, console.terminal, async |grant| {
        proxy.require(&text, grant).await
    })
    .await?;
    let after = proxy.status().await.map_err(failure)?.requirement;
    show(console, &after.unwrap_or_default())
}

/// `mfactl user require`.
pub async fn of_user(console: &mut Console<'_>, user: &str, clear: bool) -> Result<(), Failure> {
    let proxy = console.administration().await?;
    if clear {
        proxy
            .clear_requirement(user)
            .await
            .map_err(|error| administration::failure(console, error))?;
    }
    let info = proxy
        .show_user(user)
        .await
        .map_err(|error| administration::failure(console, error))?;
    show(console, &info.requirement.unwrap_or_default())
}

/// `mfactl prefer`.
pub async fn prefer(console: &mut Console<'_>, kind: Option<Kind>) -> Result<(), Failure> {
    let proxy = console.client.enrollment().await?;
    let word = kind.map_or("", Kind::word);
    proxy.prefer(word).await.map_err(failure)?;
    let text = match kind {
        Some(kind) => format!("You are asked for your {} first.\n", kind.word()),
        None => "You prefer none of your factors now.\n".to_owned(),
    };
    console.show(&json!({"preferred": kind.map(Kind::word)}), &text)
}

fn show(console: &mut Console<'_>, text: &str) -> Result<(), Failure> {
    let lines: Vec<String> = text.lines().map(render::shown).collect();
    let text = lines.join("\n");
    let value = if text.is_empty() {
        Value::Null
    } else {
        Value::from(text.clone())
    };
    let text = if text.is_empty() {
        "Nothing is demanded beyond the policy.\n".to_owned()
    } else {
        format!("{text}\n")
    };
    console.show(&json!({"requirement": value}), &text)
}

/// What there was, and one rule more.
fn added(before: &str, what: &RequireArgs) -> Result<String, Failure> {
    let any = what.factors.iter().any(|factor| factor == "any");
    if any && what.factors.len() > 1 {
        return Err(Failure::Usage(
            "“any” stands for every factor: name it alone.".to_owned(),
        ));
    }
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        format!("[{}]", words.join(", "))
    };
    let count = what.count.unwrap_or(1);
    let require = if any {
        format!("{{ count = {count} }}")
    } else {
        format!("{{ any = {}, count = {count} }}", list(&what.factors))
    };
    let when = if what.service.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ service = {} }}", list(&what.service))
    };
    let name = match &what.name {
        Some(name) => quoted(name),
        None => unused_name(before),
    };
    let gap = if before.is_empty() { "" } else { "\n" };
    Ok(format!(
        "{before}{gap}[[rule]]\nname = {name}\nwhen = {when}\nrequire = {require}\n"
    ))
}

fn unused_name(before: &str) -> String {
    let taken = |name: &String| before.contains(name.as_str());
    (1..=999)
        .map(|number| quoted(&format!("my rule {number}")))
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// A TOML string (basic strings, TOML 1.0).
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::Usage(format!(
            "{}: {error}.",
            render::shown(&file.to_string_lossy())
        ))
    };
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin()
            .take(LONGEST + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened
            .take(LONGEST + 1)
            .read_to_string(&mut text)
            .map_err(failed)?;
    }
    if text.len() as u64 > LONGEST {
        return Err(Failure::Usage(format!(
            "{}: longer than the {LONGEST} bytes that are kept.",
            render::shown(&file.to_string_lossy())
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use policy::{Additions, Source, Vocabulary};

    use super::*;

    fn args(factors: &[&str]) -> RequireArgs {
        RequireArgs {
            factors: factors.iter().map(|word| (*word).to_owned()).collect(),
            count: None,
            service: Vec::new(),
            name: None,
            file: None,
            clear: false,
        }
    }

    fn parsed(text: &str) -> Additions {
        let source = Source {
            name: "additions",
            text,
        };
        let vocabulary = Vocabulary::new(&["totp", "hotp", "backup-codes"]);
        Additions::parse(source, &vocabulary).unwrap()
    }

    #[test]
    fn what_is_written_is_what_the_daemon_reads() {
        let one = added("", &args(&["any"])).unwrap();
        assert_eq!(parsed(&one).len(), 1);
        let two = RequireArgs {
            count: Some(2),
            service: vec!["sudo".to_owned(), "su".to_owned()],
            ..args(&["totp", "backup-codes"])
        };
        let both = added(&one, &two).unwrap();
        assert_eq!(parsed(&both).len(), 2);
        let again = added(&parsed(&both).to_string(), &two).unwrap();
        assert_eq!(parsed(&again).len(), 3, "each has a name of its own");
    }

    #[test]
    fn a_name_with_quotes_stays_a_name() {
        let odd = RequireArgs {
            name: Some("my \"own\" \\ rule".to_owned()),
            ..args(&["any"])
        };
        let text = added("", &odd).unwrap();
        assert_eq!(parsed(&text).len(), 1, "{text}");
    }

    #[test]
    fn any_is_named_alone() {
        assert_eq!(
            added("", &args(&["any", "totp"])).unwrap_err().exit_code(),
            2
        );
    }
}
