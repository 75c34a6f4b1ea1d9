//! Reads the configuration: all of it, checked, or every reason why not. It keeps nothing: that a broken file never
//! replaces a good one is its caller's business.

mod fido2;
mod files;
mod last_good;
mod paths;
mod risk;
mod section;
mod settings;
#[cfg(test)]
mod settings_tests;
mod shadow;
#[cfg(test)]
mod tests;
mod trust;

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use mfad_protocol::{factors, names};
use nix::unistd::{Uid, gethostname};
use policy::{Diagnostic, Needs, Policy, Source, Vocabulary, document::Findings};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use fido2::Fido2;
pub use files::{FileError, Purpose, Trust};
pub use last_good::LastGood;
pub use paths::{KeySource, Paths};
pub use risk::Risk;
pub use settings::{
    AlarmLimits, Audit, Daemon, IDLE_EXIT, MAX_FILE, Otp, Prompt, Session, Settings,
};
pub use shadow::Shadow;
pub use trust::DeviceTrust;

use crate::location::Places;

/// Most drop-ins.
const MAX_DROP_INS: usize = 256;
/// Most bytes of the policy's sources together.
const MAX_POLICY: usize = 8 * 1024 * 1024;
/// Largest key file, in bytes.
const MAX_KEY: usize = 64 * 1024;

/// A configuration that was read without an error.
#[derive(Debug)]
pub struct Loaded {
    /// From `mfad.toml`.
    pub settings: Settings,
    /// From `policy.toml`, the drop-ins and the vendor's defaults.
    pub policy: Policy,
    /// The database that the settings name.
    pub places: Places,
    /// The policy in the shadow, if there is a file of one.
    pub shadow: Option<Shadow>,
}

impl Loaded {
    /// The policy in the shadow, if one can be evaluated.
    pub fn shadow(&self) -> Option<&Policy> {
        self.shadow.as_ref()?.policy()
    }

    /// What either policy may ask for.
    pub fn needs(&self) -> Needs {
        let shadow = self.shadow().map(Policy::needs).unwrap_or_default();
        self.policy.needs().union(shadow)
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// With a file.
    File(FileError),
    /// With what a file says.
    Text(Diagnostic),
}

/// Everything that is wrong with the configuration, at least one thing.
#[derive(Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

/// The texts of a configuration as they were read: enough to make it again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// `mfad.toml`, if there was one.
    settings: Option<Text>,
    /// The policy's sources, in the order in which they are consulted.
    policy: Vec<Text>,
}

/// Reads `mfad.toml`, `policy.toml`, `policy.d/*.toml` in the order of their names, and the vendor's policy. Each may be
/// missing.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(paths: &Paths) -> Result<(Loaded, Texts), ConfigErrors> {
    let mut reading = Reading::of(paths);
    let texts = Texts {
        settings: reading.text(&paths.config_dir.join(names::SETTINGS_FILE), MAX_FILE),
        policy: reading.policy_texts(paths),
    };
    match texts.understand(paths, reading.errors) {
        Ok(loaded) => {
            let shadow = Shadow::read(paths);
            Ok((Loaded { shadow, ..loaded }, texts))
        }
        Err(errors) => Err(ConfigErrors(errors)),
    }
}

impl Texts {
    /// What they say; or what is wrong with them, after what was wrong before.
    fn understand(
        &self,
        paths: &Paths,
        mut errors: Vec<ConfigError>,
    ) -> Result<Loaded, Vec<ConfigError>> {
        let mut note =
            |found: Vec<Diagnostic>| errors.extend(found.into_iter().map(ConfigError::Text));
        let hostname = hostname();
        let settings = match &self.settings {
            Some(text) => Settings::parse(text.source(), &hostname)
                .map_err(&mut note)
                .ok(),
            None => Some(Settings::defaults(&hostname)),
        };
        let sources: Vec<Source<'_>> = self.policy.iter().map(Text::source).collect();
        let policy = Policy::parse(&sources, &vocabulary())
            .map_err(&mut note)
            .ok();
        match (settings, policy) {
            (Some(settings), Some(policy)) if errors.is_empty() => {
                let places = Places::new(&settings.risk, paths);
                Ok(Loaded {
                    settings,
                    policy,
                    places,
                    shadow: None,
                })
            }
            _ => Err(errors),
        }
    }
}

/// The words that a policy, and what a person demands beyond it, may use.
pub fn vocabulary() -> Vocabulary<'static> {
    Vocabulary {
        zone: |name| jiff::tz::TimeZone::get(name).ok(),
        phishing_resistant: &factors::PHISHING_RESISTANT,
        user_verified: &factors::USER_VERIFIED,
        only_named: &factors::ONLY_NAMED,
        ..Vocabulary::new(&factors::ALL)
    }
}

/// Reads the key file. It is opened once, at start, while the daemon may still read it.
///
/// # Errors
/// The file is missing, or others could read or change it.
pub fn read_key(paths: &Paths) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (root, owner) = match &paths.key {
        KeySource::File(_) => (paths.root.as_path(), paths.owner),
        // Depending on its version and on the kernel, systemd leaves root or the service's user as the owner.
        KeySource::Credential(_) => (Path::new("/"), Uid::effective().as_raw()),
    };
    Trust { root, owner }.read(paths.key.path(), paths.key.purpose(), MAX_KEY)
}

/// What `%h` in the issuer stands for.
fn hostname() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok());
    let fit = |name: &String| {
        !name.is_empty() && !name.contains(':') && mfad_protocol::printable(name) == *name
    };
    name.filter(fit).unwrap_or_else(|| "localhost".to_owned())
}

/// Whether a file in `policy.d` is a drop-in: not hidden, and not what an editor or a package manager leaves behind
/// (`x.toml~`, `x.toml.dpkg-old`, `.#x.toml`).
fn is_drop_in(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    bytes.ends_with(b".toml") && !bytes.starts_with(b".")
}

/// A file's text and what to call it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    name: String,
    text: String,
}

impl Text {
    fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            text: &self.text,
        }
    }
}

/// The state of one [`load`].
struct Reading<'a> {
    trust: Trust<'a>,
    errors: Vec<ConfigError>,
    policy_size: usize,
}

impl<'a> Reading<'a> {
    fn of(paths: &'a Paths) -> Self {
        Self {
            trust: Trust {
                root: &paths.root,
                owner: paths.owner,
            },
            errors: Vec::new(),
            policy_size: 0,
        }
    }

    fn note(&mut self, found: Vec<Diagnostic>) {
        self.errors.extend(found.into_iter().map(ConfigError::Text));
    }

    /// The text of a file; `None` if there is none, or if it is noted why it is not used.
    fn text(&mut self, path: &Path, limit: usize) -> Option<Text> {
        let bytes = match self.trust.read(path, Purpose::Configuration, limit) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return None,
            Err(error) => {
                self.errors.push(ConfigError::File(error));
                return None;
            }
        };
        let name = mfad_protocol::printable(&path.to_string_lossy());
        match std::str::from_utf8(&bytes) {
            Ok(text) => Some(Text {
                name,
                text: text.to_owned(),
            }),
            Err(error) => {
                let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let text = String::from_utf8_lossy(sound);
                let mut findings = Findings::new(Source {
                    name: &name,
                    text: &text,
                });
                findings.error(
                    text.len()..text.len(),
                    "the next byte is not UTF-8; save the file as UTF-8",
                );
                self.note(findings.into_diagnostics());
                None
            }
        }
    }

    fn policy_texts(&mut self, paths: &Paths) -> Vec<Text> {
        let directory = paths.config_dir.join(names::POLICY_DIR);
        let drop_ins = match self.trust.list(&directory, MAX_DROP_INS, is_drop_in) {
            Ok(names) => names,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => {
                self.errors.push(ConfigError::File(error));
                Vec::new()
            }
        };
        let mut files: Vec<PathBuf> = vec![paths.config_dir.join(names::POLICY_FILE)];
        files.extend(drop_ins.iter().map(|name| directory.join(name)));
        files.push(paths.vendor_dir.join(names::POLICY_FILE));
        let mut texts = Vec::with_capacity(files.len());
        for file in &files {
            let Some(text) = self.text(file, policy::MAX_SOURCE) else {
                continue;
            };
            self.policy_size += text.text.len();
            if self.policy_size > MAX_POLICY {
                self.note_size(&text);
                break;
            }
            texts.push(text);
        }
        texts
    }

    fn note_size(&mut self, last: &Text) {
        let mut findings = Findings::new(last.source());
        let message =
            format!("with this file the policy has more than the {MAX_POLICY} bytes that are read");
        findings.error(0..0, message);
        self.note(findings.into_diagnostics());
    }
}

impl ConfigErrors {
    /// Each error on a line of its own: `file:line:column: message`, or `file: message` where no line is to blame.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Text(diagnostic) => diagnostic.fmt(f),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}
