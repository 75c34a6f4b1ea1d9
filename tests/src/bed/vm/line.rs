//! The way into a virtual machine: one ssh connection, over which every command goes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Image;
use crate::{Failure, host::quoted};

/// What bash, called with a program and its arguments, has ssh run: the same, quoted for the shell over there, with nothing
/// of this process's environment.
const REMOTE: &str = r#""cd /root && exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
HOME=/root LANG=C.UTF-8 TERM=dumb $(printf '%q ' "$@")""#;

/// A connection that is open, or can be.
#[derive(Debug, Clone)]
pub struct Line {
    port: u16,
    control: PathBuf,
    key: PathBuf,
}

impl Line {
    pub(super) fn new(image: &Image, scratch: &Path, port: u16) -> Self {
        Self {
            port,
            control: scratch.join("ssh"),
            key: image.file("key"),
        }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Opens it if it can be opened.
    pub(super) fn open(&self) -> bool {
        Command::new("ssh")
            .args([
                "-q",
                "-M",
                "-o",
                "ControlPersist=yes",
                "-o",
                "ConnectTimeout=60",
            ])
            .args(self.options())
            .args(["root@127.0.0.1", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn options(&self) -> Vec<String> {
        let mut options = vec![
            "-F".to_owned(),
            "none".to_owned(),
            "-p".to_owned(),
            self.port.to_string(),
            "-i".to_owned(),
            self.key.display().to_string(),
        ];
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            &format!("ControlPath={}", self.control.display()),
        ] {
            options.extend(["-o".to_owned(), option.to_owned()]);
        }
        options
    }

    /// A command that runs `program` over there; arguments can be added. With a terminal there if `terminal`.
    pub(crate) fn command(&self, program: &str, terminal: bool) -> Command {
        let terminal = if terminal { "-tt" } else { "-T" };
        let options: Vec<String> = self.options().iter().map(|word| quoted(word)).collect();
        let options = options.join(" ");
        let mut command = Command::new("bash");
        command
            .arg("-c")
            .arg(format!(
                "exec ssh -q {terminal} {options} -- root@127.0.0.1 {REMOTE}"
            ))
            .args(["ssh", program]);
        command
    }

    /// Runs a shell script there, which must succeed.
    pub(super) fn run(&self, script: &str, input: Option<Stdio>) -> Result<(), Failure> {
        let output = self
            .command("sh", false)
            .args(["-c", script])
            .stdin(input.unwrap_or_else(Stdio::null))
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the bed did not start: `{script}` ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}
