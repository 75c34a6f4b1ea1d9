//! Shows polkit's questions on this terminal while a command of somebody who is not root runs: polkit itself asks nobody,
//! and outside a desktop no other agent does. It decides nothing, and without it polkit says no.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

/// polkit's own agent for terminals. Not from `PATH`: it is given a password.
const PROGRAM: &str = "/usr/bin/pkttyagent";

/// How long it may take to tell polkit that it is there.
const START: Duration = Duration::from_secs(5);

/// The agent, which ends with this.
pub struct Agent {
    process: Child,
    /// How the terminal was: an agent that ends in the middle of a password leaves it silent.
    before: Option<Termios>,
}

impl Agent {
    /// Starts one and waits until polkit knows it. `None` where there is none, or where it does not start.
    ///
    /// It goes before a desktop's. With `--fallback` it would not, but polkit 122 takes such an agent in a session of logind
    /// only, and not everybody at a terminal has one.
    pub async fn start() -> Option<Self> {
        let before = tcgetattr(io::stdin().as_fd()).ok();
        let own = std::process::id().to_string();
        // It asks by /dev/tty, so that its standard output is free to tell, by its end, that it has begun.
        let mut process = Command::new(PROGRAM)
            .args(["--notify-fd=1", "--process", &own])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let told = process.stdout.take();
        let agent = Self { process, before };
        timeout(START, begun(told?.into())).await.ok()?;
        Some(agent)
    }
}

/// Completes at the end of what is read from `told`.
async fn begun(told: OwnedFd) {
    let Ok(told) = Receiver::from_owned_fd(told) else {
        return;
    };
    let mut ignored = [0; 64];
    while told.readable().await.is_ok() {
        match told.try_read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself, at Ctrl-C for one; then there is nobody to tell, and `wait` only collects it.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.process.wait();
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, before);
        }
    }
}
