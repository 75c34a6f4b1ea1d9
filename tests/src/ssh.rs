//! The OpenSSH client, typed at by hand or run in a script, against the bed's sshd.

use std::time::Duration;

use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person, quoted},
    pty::Pty,
};

/// How long a program may take to show what is waited for, on a machine that does much else.
pub const PROMPT: Duration = Duration::from_secs(30);

/// What a remote command prints, to know that a login succeeded: put together by the remote shell, so that the echo of
/// the command line is not taken for it.
const PROOF: &str = "echo logged-in-as-$(id -un)";

/// Options that keep a client from whatever this machine's user has configured.
fn options(person: &Person) -> String {
    format!(
        "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
         -o IdentitiesOnly=yes -o NumberOfPasswordPrompts=1 -o ConnectTimeout=10 -i {}",
        person.key
    )
}

/// The command line of an ssh client with `extra` options.
pub fn command_line(person: &Person, extra: &str, remote: &str) -> String {
    format!(
        "ssh -p 2222 {} {extra} {}@127.0.0.1 {}",
        options(person),
        person.name,
        quoted(remote)
    )
}

impl Host {
    /// Starts `ssh` on a terminal, to run `remote` there.
    pub fn ssh(&self, person: &Person, extra: &str, remote: &str) -> Result<Pty, Failure> {
        self.terminal(&["bash", "-c", &command_line(person, extra, remote)])
    }

    /// A login whose prompts, in order, contain the first of each pair and are answered with the second. True if it
    /// succeeded, false if sshd refused it.
    pub fn ssh_login(
        &self,
        person: &Person,
        extra: &str,
        dialogue: &[(&str, &str)],
    ) -> Result<bool, Failure> {
        self.ssh_login_within("", person, extra, dialogue)
    }

    /// The same by a client that `within`, the begin of a command line, runs somewhere else.
    pub fn ssh_login_within(
        &self,
        within: &str,
        person: &Person,
        extra: &str,
        dialogue: &[(&str, &str)],
    ) -> Result<bool, Failure> {
        let line = format!("{within} {}", command_line(person, extra, PROOF));
        let mut screen = self.terminal(&["bash", "-c", &line])?;
        for (prompt, answer) in dialogue {
            screen.expect(prompt, PROMPT)?;
            screen.line(answer)?;
        }
        let (status, shown) = screen.end(PROMPT + PROMPT)?;
        self.note(&format!("(ssh ended with {status})\n{shown}"));
        let proven = shown.contains(&format!("logged-in-as-{}", person.name));
        ensure(status.success() == proven, || {
            format!("ssh ended with {status}, but showed {shown:?}")
        })?;
        Ok(proven)
    }

    /// A login that must succeed.
    pub fn ssh_in(&self, person: &Person, extra: &str, dialogue: &[(&str, &str)]) -> Outcome {
        let admitted = self.ssh_login(person, extra, dialogue)?;
        ensure(admitted, || "the login was refused".to_owned())
    }

    /// A login that must be refused.
    pub fn ssh_refused(&self, person: &Person, extra: &str, dialogue: &[(&str, &str)]) -> Outcome {
        let admitted = self.ssh_login(person, extra, dialogue)?;
        ensure(!admitted, || "the login succeeded".to_owned())
    }

    /// The command line of an `scp` of a small file to the far side.
    pub fn scp_line(&self, person: &Person, extra: &str) -> String {
        format!(
            "scp -P 2222 {} {extra} /etc/hostname {}@127.0.0.1:copied",
            options(person),
            person.name
        )
    }

    /// The command line of an `sftp` that lists the far side's root.
    pub fn sftp_line(&self, person: &Person, extra: &str) -> String {
        // -b would mean BatchMode, in which nobody is asked.
        format!(
            "sftp -P 2222 {} {extra} {}@127.0.0.1 <<<'ls /'",
            options(person),
            person.name
        )
    }
}
