//! What the person before the authenticator does, as a file says: touches or not, at once or later, with which PIN, and
//! what the authenticator claims of it. It knows no keys.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::authenticator::{Error, Presence};

/// What ssh asks for.
const TOUCH: u8 = 1;
const VERIFICATION: u8 = 4;
/// Longest a touch may take, in seconds.
const LONGEST_DELAY: u64 = 60;
/// Longest script, in bytes.
const LONGEST: u64 = 4096;

/// Lines `word=value`, blank ones, and comments after `#`:
///
/// - `touch=no`: nobody touches, and the request fails; `unplug=yes`: no authenticator is found
/// - `delay=SECONDS` before the answer, at most 60
/// - `pin=TEXT`: the only PIN that is right, where one is asked for
/// - `flags=NUMBER`: these are claimed, whatever was asked for; `counter=NUMBER`: this, always
/// - `application=TEXT`: this is signed instead of what ssh says
///
/// Without a line, a person touches at once, any PIN is right, the flags are true, and the counter rises by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    at: PathBuf,
    no_touch: bool,
    unplugged: bool,
    delay: u64,
    pin: Option<String>,
    flags: Option<u8>,
    counter: Option<u32>,
    application: Option<String>,
}

impl Script {
    /// The one in `$MFA_SK_SCRIPT`, else in `~/.mfa-sk`. It is read at every request, so that it holds in an agent, too.
    pub fn in_force() -> Result<Self, Error> {
        let at = match env::var_os("MFA_SK_SCRIPT") {
            Some(at) => at.into(),
            None => Path::new(&env::var_os("HOME").ok_or(Error::General)?).join(".mfa-sk"),
        };
        let mut text = String::new();
        if let Ok(file) = File::open(&at) {
            let read = file.take(LONGEST).read_to_string(&mut text);
            read.map_err(|_| Error::General)?;
        }
        Self::parse(&text, at).ok_or_else(|| {
            // To ssh's own diagnostics, which a test keeps.
            eprintln!("mfa-sk-provider: a line of the script is not understood");
            Error::General
        })
    }

    fn parse(text: &str, at: PathBuf) -> Option<Self> {
        let mut script = Self {
            at,
            ..Self::default()
        };
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, value) = line.split_once('=')?;
            match (word, value) {
                ("touch", "yes") => script.no_touch = false,
                ("touch", "no") => script.no_touch = true,
                ("unplug", "yes") => script.unplugged = true,
                ("unplug", "no") => script.unplugged = false,
                ("delay", seconds) => script.delay = seconds.parse().ok()?,
                ("pin", pin) => script.pin = Some(pin.to_owned()),
                ("flags", flags) => script.flags = Some(flags.parse().ok()?),
                ("counter", counter) => script.counter = Some(counter.parse().ok()?),
                ("application", other) => script.application = Some(other.to_owned()),
                _ => return None,
            }
        }
        (script.delay <= LONGEST_DELAY).then_some(script)
    }

    /// What the person does about a request, and what is then claimed.
    pub fn permit(
        &self,
        application: &str,
        asked: u8,
        pin: Option<&str>,
    ) -> Result<Presence, Error> {
        if self.unplugged {
            return Err(Error::NoDevice);
        }
        thread::sleep(Duration::from_secs(self.delay));
        let verified = asked & VERIFICATION != 0;
        if verified && (pin.is_none() || self.pin.is_some() && self.pin.as_deref() != pin) {
            return Err(Error::PinRequired);
        }
        if self.no_touch && asked & TOUCH != 0 {
            return Err(Error::General);
        }
        Ok(Presence {
            application: self
                .application
                .as_deref()
                .unwrap_or(application)
                .to_owned(),
            flags: self.flags.unwrap_or(asked & (TOUCH | VERIFICATION)),
            counter: match self.counter {
                Some(counter) => counter,
                None => self.count().map_err(|_| Error::General)?,
            },
        })
    }

    /// The next number, kept beside the script, and one process at a time.
    fn count(&self) -> std::io::Result<u32> {
        let mut at = self.at.clone().into_os_string();
        at.push(".counter");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(at)?;
        file.lock()?;
        let mut text = String::new();
        (&file).take(LONGEST).read_to_string(&mut text)?;
        let next = text.trim().parse::<u32>().unwrap_or(0).saturating_add(1);
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{next}")?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(name: &str) -> PathBuf {
        let directory = env::temp_dir().join(format!("mfa-sk-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory.join("script")
    }

    fn script(text: &str, name: &str) -> Script {
        Script::parse(text, at(name)).unwrap()
    }

    #[test]
    fn without_a_script_claims_are_true_and_the_counter_rises() {
        let script = script("\n# nothing\n", "plain");
        let first = script.permit("ssh:", 1, None).unwrap();
        assert_eq!((first.application.as_str(), first.flags), ("ssh:", 1));
        let second = script.permit("ssh:", 5, Some("1234")).unwrap();
        assert_eq!((second.flags, second.counter), (5, first.counter + 1));
        fs::remove_dir_all(at("plain").parent().unwrap()).unwrap();
    }

    #[test]
    fn a_script_can_lie() {
        let script = script("flags=4\ncounter=7\napplication=ssh:other\n", "lie");
        let claimed = script.permit("ssh:", 1, None).unwrap();
        assert_eq!(claimed.application, "ssh:other");
        assert_eq!((claimed.flags, claimed.counter), (4, 7));
    }

    #[test]
    fn whoever_does_not_touch_or_know_the_pin_gets_nothing() {
        let refused = |text, asked, pin| script(text, "no").permit("ssh:", asked, pin).unwrap_err();
        assert_eq!(refused("touch=no", 1, None), Error::General);
        assert_eq!(refused("unplug=yes", 1, None), Error::NoDevice);
        assert_eq!(refused("", 5, None), Error::PinRequired);
        assert_eq!(refused("pin=1234", 5, Some("4321")), Error::PinRequired);
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for text in [
            "touch",
            "touch=maybe",
            "flags=256",
            "delay=61",
            "colour=red",
        ] {
            assert_eq!(Script::parse(text, PathBuf::new()), None, "{text}");
        }
    }
}
