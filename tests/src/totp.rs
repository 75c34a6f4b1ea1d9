//! Codes, by `oathtool`: an implementation that shares nothing with the one under test.

use std::{process::Command, time::Duration};

use nix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Seconds of a step, unless enrolled otherwise.
const PERIOD: i64 = 30;

/// A TOTP authenticator: what a phone would be.
#[derive(Debug, Clone)]
pub struct Totp {
    secret: String,
    algorithm: String,
    digits: String,
}

impl Totp {
    /// One for a Base32 secret: SHA-1, 6 digits, 30 s.
    pub fn new(secret: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            algorithm: "SHA1".to_owned(),
            digits: "6".to_owned(),
        }
    }

    /// One for an `otpauth://totp/` URI.
    pub fn from_uri(uri: &str) -> Result<Self, Failure> {
        let parameter = |name: &str| {
            let (_, query) = uri.split_once('?')?;
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let secret = parameter("secret")
            .ok_or_else(|| Failure::new(format!("no secret in the URI {uri:?}")))?;
        let mut authenticator = Self::new(secret);
        if let Some(digits) = parameter("digits") {
            digits.clone_into(&mut authenticator.digits);
        }
        if let Some(algorithm) = parameter("algorithm") {
            algorithm.clone_into(&mut authenticator.algorithm);
        }
        Ok(authenticator)
    }

    /// The code of the current step plus `offset` steps. Servers accept the neighbouring steps, but none twice and none
    /// before one they have accepted: a case that needs several codes at once takes −1, then 0, then 1.
    pub fn code(&self, offset: i64) -> Result<String, Failure> {
        self.code_at(settled()? + offset * PERIOD)
    }

    /// The code of the moment `at`, in seconds since the epoch.
    pub fn code_at(&self, at: i64) -> Result<String, Failure> {
        run_oathtool(
            Command::new("oathtool")
                .arg(format!("--totp={}", self.algorithm.to_lowercase()))
                .arg(format!("--digits={}", self.digits))
                .arg("--base32")
                .arg(format!("--now=@{at}"))
                .arg(&self.secret),
        )
        .map(|output| output.trim().to_owned())
    }

    /// A code that is right for none of the steps near now.
    pub fn wrong_code(&self) -> Result<String, Failure> {
        let now = now()?;
        let right: Vec<String> = (-4..=4)
            .map(|offset| self.code_at(now + offset * PERIOD))
            .collect::<Result<_, _>>()?;
        (0..1_000_000)
            .map(|guess| format!("{guess:06}"))
            .find(|guess| !right.contains(guess))
            .ok_or_else(|| Failure::new("every code is right"))
    }
}

/// HOTP codes of `secret` from counter 0 on.
pub fn hotp_codes(secret: &str, count: usize) -> Result<Vec<String>, Failure> {
    let output = run_oathtool(
        Command::new("oathtool")
            .args(["--hotp", "--base32", "--counter=0"])
            .arg(format!("--window={}", count.saturating_sub(1)))
            .arg(secret),
    )?;
    Ok(output.lines().map(str::to_owned).collect())
}

/// Seconds since the epoch.
pub fn now() -> Result<i64, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_REALTIME)?.tv_sec())
}

/// Now, but not so shortly before the next step that a code could grow old while it is typed.
fn settled() -> Result<i64, Failure> {
    const MARGIN: i64 = 6;
    let now = now()?;
    let left = PERIOD - now % PERIOD;
    if left > MARGIN {
        return Ok(now);
    }
    std::thread::sleep(Duration::from_secs(left.unsigned_abs()));
    self::now()
}

fn run_oathtool(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::new(format!(
            "oathtool: {}",
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}
