//! `mfactl policy check --preset`: what the policy and the daemon's delays lack for a preset. What a preset demands, the policy
//! crate knows; here it is asked and shown.

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum;
use mfad_protocol::names;
use policy::document::{Document, Findings, Table};
use policy::preset::{Preset, Row, Standing, Throttle};
use policy::{Policy, Source};
use serde_json::{Value, json};

use crate::rules::{self, Mistake};
use crate::terminal::{Terminal, Tone};

/// Which preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// A machine at home
    Home,
    /// NIST SP 800-63B-4, assurance level 2
    Aal2,
    /// NIST SP 800-63B-4, assurance level 3
    Aal3,
    /// PCI DSS 4.0.1, requirements 8.3 to 8.5
    Pci,
}

impl From<Choice> for Preset {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Home => Self::Home,
            Choice::Aal2 => Self::Aal2,
            Choice::Aal3 => Self::Aal3,
            Choice::Pci => Self::Pci,
        }
    }
}

/// A policy beside a preset.
#[derive(Debug)]
pub struct Comparison {
    preset: Preset,
    rows: Vec<Row>,
}

impl Comparison {
    /// Compares `policy`, and the delays that the daemon's settings below `root` say.
    ///
    /// # Errors
    /// The settings cannot be read.
    pub fn of(policy: &Policy, choice: Choice, root: &Path) -> Result<Self, Mistake> {
        let preset = Preset::from(choice);
        let rows = policy.compare(preset, &throttle(root)?);
        Ok(Self { preset, rows })
    }

    /// Whether something is lacking.
    pub fn is_lacking(&self) -> bool {
        self.rows
            .iter()
            .any(|row| matches!(row.standing, Standing::Lacking(_)))
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let lacking = match &row.standing {
                Standing::Lacking(what) => Some(what),
                Standing::Met | Standing::Beyond => None,
            };
            json!({
                "source": row.source,
                "requirement": row.text,
                "standing": word(&row.standing),
                "lacking": lacking,
            })
        });
        json!({"name": self.preset.word(), "ok": !self.is_lacking(), "requirements": rows.collect::<Vec<_>>()})
    }

    /// A line for each requirement, and what is lacking below it.
    pub fn text(&self, terminal: &Terminal) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let word = word(&row.standing);
            let tone = match row.standing {
                Standing::Met => Tone::Good,
                Standing::Lacking(_) => Tone::Bad,
                Standing::Beyond => Tone::Caution,
            };
            // The padding stays outside of the colour, which would count as columns.
            let padding = " ".repeat(7 - word.len());
            let word = terminal.tint(tone, word);
            let _ = writeln!(text, "{word}{padding}  {} ({})", row.text, row.source);
            if let Standing::Lacking(what) = &row.standing {
                let _ = writeln!(text, "         → {what}");
            }
        }
        let name = self.preset.word();
        let lacking = self
            .rows
            .iter()
            .filter(|row| matches!(row.standing, Standing::Lacking(_)));
        let _ = match lacking.count() {
            0 => writeln!(
                text,
                "Nothing is lacking for {name} in the policy. “Beyond” is what no policy can promise; nothing here certifies anything."
            ),
            many => writeln!(
                text,
                "Lacking for {name}: {many}. See {}/presets/{name}.toml.",
                names::VENDOR_DIR
            ),
        };
        text
    }
}

const fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Met => "met",
        Standing::Lacking(_) => "lacking",
        Standing::Beyond => "beyond",
    }
}

/// The `[throttle]` of the daemon's settings; what is not written there is the daemon's default. The daemon reads them
/// strictly, so what is wrong with them is its to tell.
fn throttle(root: &Path) -> Result<Throttle, Mistake> {
    let directory = root.join(names::CONFIG_DIR.trim_start_matches('/'));
    let path = directory.join(names::SETTINGS_FILE);
    let usual = Throttle::default();
    if !path.exists() {
        return Ok(usual);
    }
    let file = rules::read(&path, None)?;
    let source = Source {
        name: &file.name,
        text: &file.text,
    };
    let mut findings = Findings::new(source);
    let document = Document::parse(source, policy::MAX_SOURCE, &mut findings);
    if let Some(first) = findings.into_diagnostics().first() {
        return Err(Mistake::from(first));
    }
    let table = document.as_ref().and_then(|document| {
        let settings = document.root(names::SETTINGS_FILE).get("throttle")?;
        settings.as_table("[throttle]")
    });
    Ok(table.map_or(usual, |table| read(&table, &source, usual)))
}

fn read(table: &Table<'_>, source: &Source<'_>, usual: Throttle) -> Throttle {
    let number = |key: &'static str, usual: u32| {
        let found = table.get(key);
        let found =
            found.and_then(|value| value.integer(0..=u32::MAX, &mut Findings::new(*source)));
        found.unwrap_or(usual)
    };
    let duration = |key: &'static str, usual: u32| {
        let found = table
            .get(key)
            .and_then(|value| Throttle::duration(value.as_str()?));
        found.unwrap_or(usual)
    };
    Throttle {
        free: number("free", usual.free),
        first_delay: duration("first-delay", usual.first_delay),
        max_delay: duration("max-delay", usual.max_delay),
        limit: number("limit", usual.limit),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_daemons_delays_are_read_from_its_settings() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(throttle(root.path()).unwrap(), Throttle::default());
        let directory = root.path().join("etc/mfa");
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("mfad.toml");
        fs::write(
            &file,
            "[prompt]\ntries = 2\n[throttle]\nfree = 9\nfirst-delay = \"30m\"\n",
        )
        .unwrap();
        let expected = Throttle {
            free: 9,
            first_delay: 1800,
            ..Throttle::default()
        };
        assert_eq!(throttle(root.path()).unwrap(), expected);
        fs::write(&file, "[throttle\n").unwrap();
        assert!(throttle(root.path()).is_err());
    }
}
