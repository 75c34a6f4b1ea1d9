//! What the tests' own PAM host reports, read for the cases that use it.

use serde_json::Value;

use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, quoted},
    totp,
};

/// The service that the tests' own host asks for.
pub const SERVICE: &str = "mfa-case";

/// What one run of the host reports.
#[derive(Debug)]
pub struct Report {
    transactions: Vec<Value>,
    /// The process before and after; null for a run at once.
    pub process: Value,
}

impl Report {
    fn parse(lines: &[u8]) -> Result<Self, Failure> {
        let mut transactions: Vec<Value> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        let ends_with_process = transactions
            .last()
            .is_some_and(|last| last.get("memory-after").is_some());
        let process = if ends_with_process {
            transactions.pop()
        } else {
            None
        };
        Ok(Self {
            transactions,
            process: process.unwrap_or_default(),
        })
    }

    /// The transactions.
    pub fn transactions(&self) -> &[Value] {
        &self.transactions
    }

    /// How many transactions authenticated.
    pub fn granted(&self) -> usize {
        self.transactions()
            .iter()
            .filter(|one| one["auth"] == 0)
            .count()
    }

    /// Fails unless there were `count` transactions, and in each a code was asked for and each phase succeeded.
    pub fn all_granted(&self, count: usize) -> Outcome {
        let bad = self.transactions().iter().find(|one| {
            let asked = one["shown"]
                .as_array()
                .is_some_and(|lines| lines.iter().any(|line| line == "Verification code: "));
            let succeeded = one["auth"] == 0
                && one.as_object().into_iter().flatten().all(|(name, code)| {
                    matches!(
                        name.as_str(),
                        "shown" | "micros" | "ended" | "before" | "after"
                    ) || *code == 0
                });
            !asked || !succeeded
        });
        ensure(bad.is_none() && self.transactions().len() == count, || {
            format!(
                "{} transactions of {count}; a failed one: {bad:?}",
                self.transactions().len()
            )
        })
    }
}

impl Host {
    /// Sets up the service of the tests' own host: our module alone, told that a first factor stands before it.
    pub fn use_drive(&self) -> Outcome {
        self.put_pamdrive()?;
        self.write(
            &format!("/etc/pam.d/{SERVICE}"),
            "0644",
            "auth required pam_mfa.so after=password\naccount required pam_mfa.so\n\
             session required pam_mfa.so\npassword required pam_mfa.so\n",
        )
    }

    /// Runs the tests' own host for `user`.
    pub fn drive(&self, user: &str, arguments: &str) -> Result<Report, Failure> {
        let line = format!(
            "pamdrive --service {SERVICE} --user {} {arguments} >/tmp/drive.json",
            quoted(user)
        );
        self.ok(&line)?;
        // Not through `json`: a thousand transactions would fill the history.
        Report::parse(&self.read("/tmp/drive.json")?)
    }

    /// Gives `user` an HOTP token, and its first `count` codes.
    pub fn enroll_token(&self, user: &str, count: usize) -> Result<Vec<String>, Failure> {
        let offer = self.json(&format!("mfactl user enroll {user} hotp --json"))?;
        let secret = offer["secret"]
            .as_str()
            .ok_or_else(|| Failure::new("the offer has no secret"))?;
        totp::hotp_codes(secret, count)
    }
}
