//! Owns the module's arguments. It must never skip one that it does not know: a misspelt safeguard is no safeguard.

use std::{ffi::CStr, fmt, time::Duration};

use mfad_protocol::{limits, printable};

/// Most services of `guard=`.
const MAX_GUARDED: usize = 32;

/// What to do when no decision can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreachable {
    Deny,
    Ignore,
}

/// The arguments of one line of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    /// Services whose logins may skip the auth phase and are judged in account and session instead.
    pub guard: Vec<String>,
    /// A password stands before this line in the stack.
    pub after_password: bool,
    /// What an unreachable daemon means.
    pub unreachable: Unreachable,
    /// Root at a physical console gets in when the daemon is unreachable.
    pub breakglass: bool,
    /// The first factor has failed: ask alike, refuse always.
    pub decoy: bool,
    /// The stack has a session line of this module: a decision that needs the key may wait for it.
    pub defer: bool,
    /// How long the whole dialogue may take.
    pub timeout: Duration,
    /// Log decisions.
    pub debug: bool,
    /// Where to panic, in builds for the suite that needs it.
    #[cfg(feature = "failpoints")]
    pub failpoint: Option<String>,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            guard: vec!["sshd".into()],
            after_password: false,
            unreachable: Unreachable::Deny,
            breakglass: false,
            decoy: false,
            defer: false,
            timeout: limits::DIALOGUE,
            debug: false,
            #[cfg(feature = "failpoints")]
            failpoint: None,
        }
    }
}

/// Why an argument was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArgsError {
    Unknown(String),
    Duplicate(&'static str),
    Value(&'static str),
    /// Two arguments that contradict each other.
    Conflict(&'static str),
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => write!(f, "unknown argument \"{}\"", printable(text)),
            Self::Duplicate(key) => write!(f, "argument \"{key}\" given twice"),
            Self::Value(key) => write!(f, "argument \"{key}\" has an impossible value"),
            Self::Conflict(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ArgsError {}

/// The keys seen so far.
#[derive(Default)]
struct Seen(Vec<&'static str>);

impl Seen {
    fn once(&mut self, key: &'static str) -> Result<(), ArgsError> {
        if self.0.contains(&key) {
            return Err(ArgsError::Duplicate(key));
        }
        self.0.push(key);
        Ok(())
    }
}

impl Args {
    /// Reads the arguments of one line, as libpam hands them over.
    pub(crate) fn parse(raw: &[&CStr]) -> Result<Self, ArgsError> {
        let mut args = Self::default();
        let mut seen = Seen::default();
        for word in raw {
            let word = word
                .to_str()
                .map_err(|_| ArgsError::Unknown(word.to_string_lossy().into_owned()))?;
            args.take(word, &mut seen)?;
        }
        args.check()
    }

    fn take(&mut self, word: &str, seen: &mut Seen) -> Result<(), ArgsError> {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        match (key, value) {
            ("guard", Some(value)) => {
                seen.once("guard")?;
                self.guard = services(value).ok_or(ArgsError::Value("guard"))?;
            }
            ("after", Some(value)) => {
                seen.once("after")?;
                self.after_password = match value {
                    "password" => true,
                    _ => return Err(ArgsError::Value("after")),
                };
            }
            ("unreachable", Some(value)) => {
                seen.once("unreachable")?;
                self.unreachable = match value {
                    "deny" => Unreachable::Deny,
                    "ignore" => Unreachable::Ignore,
                    _ => return Err(ArgsError::Value("unreachable")),
                };
            }
            ("breakglass", Some(value)) => {
                seen.once("breakglass")?;
                self.breakglass = match value {
                    "console" => true,
                    _ => return Err(ArgsError::Value("breakglass")),
                };
            }
            ("defer", Some(value)) => {
                seen.once("defer")?;
                self.defer = match value {
                    "session" => true,
                    _ => return Err(ArgsError::Value("defer")),
                };
            }
            ("timeout", Some(value)) => {
                seen.once("timeout")?;
                self.timeout = seconds(value).ok_or(ArgsError::Value("timeout"))?;
            }
            ("decoy", None) => {
                seen.once("decoy")?;
                self.decoy = true;
            }
            ("debug", None) => {
                seen.once("debug")?;
                self.debug = true;
            }
            #[cfg(feature = "failpoints")]
            ("failpoint", Some(value)) => self.failpoint = Some(value.to_owned()),
            _ => return Err(ArgsError::Unknown(word.to_owned())),
        }
        Ok(())
    }

    fn check(self) -> Result<Self, ArgsError> {
        if self.breakglass && !self.after_password {
            return Err(ArgsError::Conflict(
                "\"breakglass=console\" needs \"after=password\": without a password before it, a console would be open",
            ));
        }
        if self.decoy && (self.unreachable == Unreachable::Ignore || self.breakglass) {
            return Err(ArgsError::Conflict(
                "\"decoy\" always refuses: \"unreachable=ignore\" and \"breakglass\" contradict it",
            ));
        }
        Ok(self)
    }

    /// Whether `service` is one that is judged in account and session. libpam lower-cases service names.
    pub(crate) fn guards(&self, service: &str) -> bool {
        self.guard
            .iter()
            .any(|name| name.eq_ignore_ascii_case(service))
    }
}

/// `none` alone guards no service; an empty name is a slip of the pen.
fn services(value: &str) -> Option<Vec<String>> {
    if value == "none" {
        return Some(Vec::new());
    }
    let names: Vec<String> = value.split(',').map(str::to_owned).collect();
    let valid = |name: &String| {
        !name.is_empty()
            && name.len() <= limits::TEXT
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b))
    };
    let distinct = names
        .iter()
        .enumerate()
        .all(|(at, name)| !names[..at].contains(name));
    (names.len() <= MAX_GUARDED && distinct && names.iter().all(valid)).then_some(names)
}

fn seconds(value: &str) -> Option<Duration> {
    // `parse` alone would take "+45".
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: u64 = value.parse().ok()?;
    limits::TIMEOUT
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn parse(words: &[&str]) -> Result<Args, ArgsError> {
        let owned: Vec<CString> = words.iter().map(|w| CString::new(*w).unwrap()).collect();
        let raw: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
        Args::parse(&raw)
    }

    #[test]
    fn without_arguments_everything_is_closed_and_sshd_is_guarded() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.unreachable, Unreachable::Deny);
        assert!(!args.after_password && !args.breakglass && !args.decoy);
        assert!(args.guards("sshd") && args.guards("SSHD") && !args.guards("sudo"));
        assert_eq!(args.timeout, Duration::from_secs(45));
    }

    #[test]
    fn every_argument_is_understood() {
        let args = parse(&[
            "guard=sshd,sshd-internal",
            "after=password",
            "unreachable=ignore",
            "breakglass=console",
            "timeout=300",
            "debug",
        ])
        .unwrap();
        assert_eq!(args.guard, ["sshd", "sshd-internal"]);
        assert!(args.after_password && args.breakglass && args.debug);
        assert_eq!(args.unreachable, Unreachable::Ignore);
        assert_eq!(args.timeout, Duration::from_mins(5));
        assert!(parse(&["decoy"]).unwrap().decoy);
        assert!(parse(&["defer=session"]).unwrap().defer && !args.defer);
        assert!(parse(&["guard=none"]).unwrap().guard.is_empty());
    }

    #[test]
    fn anything_else_is_an_error() {
        for words in [
            &["nullok"][..],
            &["Debug"],
            &["debug=1"],
            &["debug", "debug"],
            &["decoy="],
            &["defer"],
            &["defer=account"],
            &["guard"],
            &["guard="],
            &["guard=sshd,"],
            &["guard=sshd,sshd"],
            &["guard=ssh d"],
            &["guard=../x"],
            &["guard=sshd", "guard=sudo"],
            &["after"],
            &["after=key"],
            &["unreachable=allow"],
            &["unreachable"],
            &["breakglass"],
            &["breakglass=ssh", "after=password"],
            &["breakglass=console"],
            &["decoy", "unreachable=ignore"],
            &["decoy", "breakglass=console", "after=password"],
            &["timeout"],
            &["timeout="],
            &["timeout=4"],
            &["timeout=301"],
            &["timeout=+45"],
            &["timeout=45s"],
            &["timeout=99999999999999999999"],
            &[""],
            &["=x"],
        ] {
            assert!(parse(words).is_err(), "{words:?} was accepted");
        }
        let bytes = CString::new(b"deb\xFFug".to_vec()).unwrap();
        assert!(Args::parse(&[bytes.as_c_str()]).is_err());
    }

    #[test]
    fn an_unknown_argument_is_shown_without_its_control_characters() {
        let error = parse(&["x\ny"]).unwrap_err().to_string();
        assert_eq!(error, "unknown argument \"x\u{FFFD}y\"");
    }
}
