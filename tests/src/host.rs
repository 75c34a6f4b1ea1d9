//! The administrator of a bed: runs commands, makes users, puts PAM stacks and settings into place, and the daemon up
//! or down. What it did is kept, for whoever has to understand a failure.

use std::{
    cell::RefCell,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Failure, Outcome,
    bed::{Bed, Kind},
    build::Artifacts,
    failure::ensure,
    pty::Pty,
    totp::Totp,
};

/// Seconds that a command may take, unless it says otherwise.
const COMMAND_LIMIT: &str = "60";

/// A machine under test.
#[derive(Debug)]
pub struct Host {
    bed: Bed,
    artifacts: Artifacts,
    done: RefCell<String>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit status; −1 if a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Somebody with an account, a password and an SSH key.
#[derive(Debug, Clone)]
pub struct Person {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Path of the private key, which root holds.
    pub key: String,
}

impl Host {
    /// Takes charge of a bed.
    pub fn new(bed: Bed, artifacts: Artifacts) -> Self {
        Self {
            bed,
            artifacts,
            done: RefCell::default(),
        }
    }

    /// Which kind of machine it is.
    pub const fn kind(&self) -> Kind {
        self.bed.kind()
    }

    /// What was built for the tests.
    pub const fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Everything done and shown so far, and the end of the machine's log.
    pub fn history(&self) -> String {
        let log = match self.kind() {
            Kind::Namespaces => "tail -n 40 /run/log/auth.log",
            Kind::Nspawn | Kind::Vm => "journalctl -q --no-pager -n 40 -o short",
        };
        let log = self
            .command(log)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        format!("{}--- log\n{log}", self.done.borrow())
    }

    /// Adds to what [`Host::history`] tells.
    pub fn note(&self, what: &str) {
        let mut done = self.done.borrow_mut();
        done.push_str(what);
        done.push('\n');
    }

    /// Runs a shell script as root, whatever comes of it.
    pub fn sh(&self, script: &str) -> Result<Output, Failure> {
        let output = self.command(script).stdin(Stdio::null()).output()?;
        let output = Output {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        let mut done = self.done.borrow_mut();
        let _ = writeln!(done, "# {script}\n{}{}", output.stdout, output.stderr);
        if output.status != 0 {
            let _ = writeln!(done, "(status {})", output.status);
        }
        Ok(output)
    }

    /// Runs a shell script as root, which must succeed; returns what it printed.
    pub fn ok(&self, script: &str) -> Result<String, Failure> {
        let output = self.sh(script)?;
        ensure(output.status == 0, || {
            format!("`{script}` ended with {}: {}", output.status, output.stderr)
        })?;
        Ok(output.stdout)
    }

    /// Runs a shell script as `user`, whatever comes of it. `runuser` is root's and asks nobody.
    pub fn sh_as(&self, user: &str, script: &str) -> Result<Output, Failure> {
        self.sh(&format!("runuser -u {user} -- sh -c {}", quoted(script)))
    }

    /// Runs a program on a terminal, in a session of its own, as root.
    pub fn terminal(&self, arguments: &[&str]) -> Result<Pty, Failure> {
        self.note(&format!("(terminal) {}", arguments.join(" ")));
        let terminal = Pty::spawn(&self.bed.devpts(), &mut self.bed.on_terminal(arguments))?;
        Ok(terminal.with_patience(self.kind().slowness()))
    }

    /// Runs a shell script on a terminal as `user`, with their home as directory. The terminal is theirs, as after a login.
    pub fn terminal_as(&self, user: &str, script: &str) -> Result<Pty, Failure> {
        let own = format!(
            "chown {user} $(tty); cd ~{user}; exec setpriv --reuid {user} --regid {user} --init-groups \
             env HOME=$(pwd) USER={user} LOGNAME={user} sh -c {}",
            quoted(script)
        );
        self.terminal(&["bash", "-c", &own])
    }

    /// Writes a file.
    pub fn write(&self, path: &str, mode: &str, text: &str) -> Outcome {
        self.feed(
            &format!(
                "mkdir -p \"$(dirname {path})\" && cat >{path}.new && chmod {mode} {path}.new && mv {path}.new {path}"
            ),
            text.as_bytes(),
        )
    }

    /// Writes a file that is no text, for everybody to read.
    pub fn write_bytes(&self, path: &str, bytes: &[u8]) -> Outcome {
        self.feed(
            &format!("cat >{path}.new && chmod 0644 {path}.new && mv {path}.new {path}"),
            bytes,
        )
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let output = self.bed.command("cat").arg(path).output()?;
        ensure(output.status.success(), || {
            format!("{path}: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok(output.stdout)
    }

    /// Puts the tests' PAM host into place.
    pub fn put_pamdrive(&self) -> Outcome {
        self.put_program("pamdrive", &self.artifacts.pamdrive)
    }

    /// Puts the tests' D-Bus client into place.
    pub fn put_busdrive(&self) -> Outcome {
        self.put_program("busdrive", &self.artifacts.busdrive)
    }

    /// Puts the tests' FIDO authenticator where the client's ssh-agent takes one from, too; returns the path.
    pub fn put_provider(&self) -> Result<&'static str, Failure> {
        const AT: &str = "/usr/local/lib/mfa-sk-provider.so";
        self.feed(
            &format!("cat >{AT} && chmod 0644 {AT}"),
            &fs::read(&self.artifacts.provider)?,
        )?;
        Ok(AT)
    }

    /// Puts the module with failpoints in the shipped one's place.
    pub fn put_faulty_module(&self) -> Outcome {
        self.feed(
            "cat >/tmp/faulty.so && install -m 0644 /tmp/faulty.so /usr/lib/*/security/pam_mfa.so",
            &fs::read(&self.artifacts.faulty)?,
        )
    }

    /// Puts a program of the tests into place.
    pub fn put_program(&self, name: &str, from: &Path) -> Outcome {
        self.feed(
            &format!("cat >/usr/local/bin/{name} && chmod 0755 /usr/local/bin/{name}"),
            &fs::read(from)?,
        )
    }

    /// Makes an account with a password and an SSH key.
    pub fn person(&self, name: &str) -> Result<Person, Failure> {
        let person = Person {
            name: name.to_owned(),
            password: format!("correct horse {name}"),
            key: format!("/root/keys/{name}"),
        };
        self.ok(&format!(
            "useradd --create-home --shell /bin/bash {name} && echo '{name}:{}' | chpasswd && \
             mkdir -p /root/keys && ssh-keygen -q -t ed25519 -N '' -f {key} && \
             install -d -m 0700 -o {name} -g {name} ~{name}/.ssh && \
             install -m 0600 -o {name} -g {name} {key}.pub ~{name}/.ssh/authorized_keys",
            person.password,
            key = person.key,
        ))?;
        Ok(person)
    }

    /// The same person with another key, which is theirs too.
    pub fn another_key(&self, person: &Person) -> Result<Person, Failure> {
        let key = format!("{}-other", person.key);
        self.ok(&format!(
            "ssh-keygen -q -t ed25519 -N '' -f {key} && cat {key}.pub >>~{}/.ssh/authorized_keys",
            person.name
        ))?;
        Ok(Person {
            key,
            ..person.clone()
        })
    }

    /// Gives somebody a TOTP authenticator, as an administrator does.
    pub fn enroll(&self, user: &str) -> Result<Totp, Failure> {
        let offer = self.json(&format!("mfactl user enroll {user} totp --json"))?;
        let uri = offer["uri"]
            .as_str()
            .ok_or_else(|| Failure::new("the offer has no uri"))?;
        Totp::from_uri(uri)
    }

    /// Gives somebody a sheet of backup codes, as an administrator does.
    pub fn enroll_backup_codes(&self, user: &str) -> Result<Vec<String>, Failure> {
        let offer = self.json(&format!("mfactl user enroll {user} backup-codes --json"))?;
        let codes = offer["codes"].as_array().into_iter().flatten();
        let codes: Option<Vec<String>> =
            codes.map(|code| code.as_str().map(str::to_owned)).collect();
        codes
            .filter(|codes| !codes.is_empty())
            .ok_or_else(|| Failure::new(format!("no codes in {offer}")))
    }

    /// What `mfactl` knows of a user.
    pub fn user(&self, name: &str) -> Result<serde_json::Value, Failure> {
        self.json(&format!("mfactl user show {name} --json"))
    }

    /// Runs a shell script that prints JSON.
    pub fn json(&self, script: &str) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::from_str(self.ok(script)?.trim())?)
    }

    /// Makes an account and gives it a TOTP authenticator.
    pub fn enrolled(&self, name: &str) -> Result<(Person, Totp), Failure> {
        let person = self.person(name)?;
        let totp = self.enroll(name)?;
        Ok((person, totp))
    }

    /// Puts a shipped PAM stack into place, and into sshd's configuration the lines that the stack's own comment asks for.
    pub fn use_stack(&self, stack: &str) -> Outcome {
        let text = self.ok(&format!("cat /usr/share/mfa/pam/{stack}"))?;
        let service = if stack.starts_with("sshd") {
            "sshd"
        } else {
            stack
        };
        self.write(&format!("/etc/pam.d/{service}"), "0644", &text)?;
        if service != "sshd" {
            return Ok(());
        }
        let needed: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#     "))
            .collect();
        ensure(!needed.is_empty(), || {
            format!("the stack {stack} names no sshd_config lines")
        })?;
        self.sshd_settings(&needed.join("\n"))
    }

    /// Makes `lines` sshd's settings, before those it has.
    pub fn sshd_settings(&self, lines: &str) -> Outcome {
        self.write(
            "/etc/ssh/sshd_config.d/10-case.conf",
            "0644",
            &format!("{lines}\n"),
        )?;
        let reload = match self.kind() {
            // It starts anew at a HUP: for a moment after the one before, it has no pid file.
            Kind::Namespaces => {
                "for i in $(seq 600); do [ -s /run/sshd.pid ] && break; sleep 0.05; done && \
                 kill -HUP \"$(cat /run/sshd.pid)\""
            }
            Kind::Nspawn | Kind::Vm => "systemctl reload ssh",
        };
        // Until it starts anew it listens with what it had before, and then it is deaf for a moment: what counts are sockets
        // that were not there.
        self.ok(&format!(
            "/usr/sbin/sshd -t || exit; sockets() {{ ss -Hlnte 'sport = 2222' | grep -o 'ino:[0-9]*'; }}; old=$(sockets); {reload} || exit; \
             for i in $(seq 600); do new=$(sockets); \
             [ $(wc -w <<<\"$new\") -ge $(wc -w <<<\"${{old:-one}}\") ] && ! grep -qwF \"${{old:-none}}\" <<<\"$new\" && exit; \
             sleep 0.05; done; exit 1"
        ))
        .map(drop)
    }

    /// Makes `text` the policy in force.
    pub fn policy(&self, text: &str) -> Outcome {
        self.write("/etc/mfa/policy.toml", "0644", text)?;
        self.ok("mfactl policy reload").map(drop)
    }

    /// Ends the daemon. The next that needs it starts it again.
    pub fn stop_daemon(&self) -> Outcome {
        let script = match self.kind() {
            Kind::Namespaces => {
                "pkill -x mfad; for i in $(seq 600); do pgrep -x mfad >/dev/null || exit 0; sleep 0.05; done; exit 1"
            }
            Kind::Nspawn | Kind::Vm => "systemctl stop mfad.service",
        };
        self.ok(script).map(drop)
    }

    /// Ends the daemon and keeps everybody from starting it.
    pub fn disable_daemon(&self) -> Outcome {
        if self.kind() != Kind::Namespaces {
            self.ok("systemctl mask --runtime --now mfad.socket mfad-user.socket mfad.service")?;
            return Ok(());
        }
        self.ok("mv /usr/libexec/mfa/mfad /usr/libexec/mfa/mfad.away")?;
        self.stop_daemon()
    }

    /// The machine's authentication log.
    pub fn auth_log(&self) -> Result<String, Failure> {
        self.ok(match self.kind() {
            Kind::Namespaces => "cat /run/log/auth.log",
            Kind::Nspawn | Kind::Vm => "journalctl --sync; journalctl -q --no-pager -o short",
        })
    }

    fn feed(&self, script: &str, input: &[u8]) -> Outcome {
        self.note(&format!("# {script}"));
        let mut child = self
            .command(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input)?;
        }
        let output = child.wait_with_output()?;
        ensure(output.status.success(), || {
            format!("`{script}`: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    fn command(&self, script: &str) -> Command {
        let mut command = self.bed.command("timeout");
        command.args(["--kill-after=1", COMMAND_LIMIT, "bash", "-c", script]);
        command
    }
}

/// `text` as one word of a shell command.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
