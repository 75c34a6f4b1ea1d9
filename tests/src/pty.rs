//! A person at a terminal: runs a program on a pseudo-terminal of a bed, waits for what it shows, and types.
//!
//! The terminal is made in the bed's own devpts, so that programs inside find its name. It decides nothing about results.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Failure;

mod ioctl {
    nix::ioctl_write_ptr_bad!(unlock, nix::libc::TIOCSPTLCK, nix::libc::c_int);
    nix::ioctl_write_int_bad!(peer, nix::libc::TIOCGPTPEER);
}

/// A program on a terminal.
#[derive(Debug)]
pub struct Pty {
    master: File,
    child: Child,
    unread: String,
    /// All that was shown, and in angle brackets what was typed.
    transcript: String,
    open: bool,
    /// By how much every wait is longer than the caller says.
    patience: u32,
}

impl Pty {
    /// Runs `command` with a new terminal of the devpts mounted at `devpts` as its standard streams. Making that its
    /// controlling terminal is the command's business (`setsid --ctty`).
    pub fn spawn(devpts: &Path, command: &mut Command) -> Result<Self, Failure> {
        let master = OpenOptions::new()
            .read(true)
            .write(true)
            .open(devpts.join("ptmx"))?;
        let terminal = terminal_of(&master)?;
        let child = command
            .stdin(terminal.try_clone()?)
            .stdout(terminal.try_clone()?)
            .stderr(terminal)
            .spawn()?;
        // `command` still holds the terminal: replaced, so that the end of the program is the end of the output.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        Ok(Self {
            master,
            child,
            unread: String::new(),
            transcript: String::new(),
            open: true,
            patience: 1,
        })
    }

    /// The same with every wait so many times as long.
    #[must_use]
    pub const fn with_patience(mut self, times: u32) -> Self {
        self.patience = times;
        self
    }

    /// Waits until `text` has been shown, and returns all up to and with it.
    pub fn expect(&mut self, text: &str, within: Duration) -> Result<String, Failure> {
        self.expect_any(&[text], within).map(|(_, shown)| shown)
    }

    /// Waits for the first of `texts` to be shown; returns which, and all up to and with it.
    pub fn expect_any(
        &mut self,
        texts: &[&str],
        within: Duration,
    ) -> Result<(usize, String), Failure> {
        let within = within * self.patience;
        let deadline = Instant::now() + within;
        loop {
            let found = texts
                .iter()
                .enumerate()
                .filter_map(|(which, text)| Some((self.unread.find(text)? + text.len(), which)))
                .min();
            if let Some((end, which)) = found {
                let rest = self.unread.split_off(end);
                return Ok((which, std::mem::replace(&mut self.unread, rest)));
            }
            if !self.open {
                return Err(self.missing(texts, "the program ended"));
            }
            if !self.read_until(deadline)? {
                return Err(self.missing(texts, &format!("{within:?} passed")));
            }
        }
    }

    /// Types `text` and Enter.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.send(&format!("{text}\r"))
    }

    /// Types `text`.
    pub fn send(&mut self, text: &str) -> Result<(), Failure> {
        self.transcript.extend(["<", text.trim_end(), ">"]);
        Ok(self.master.write_all(text.as_bytes())?)
    }

    /// Waits for the program to end; returns its status and what it has shown since the last `expect`.
    pub fn end(mut self, within: Duration) -> Result<(ExitStatus, String), Failure> {
        let within = within * self.patience;
        let deadline = Instant::now() + within;
        while self.open {
            if !self.read_until(deadline)? {
                return Err(self.missing(&["the end"], &format!("{within:?} passed")));
            }
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, std::mem::take(&mut self.unread)));
            }
            if Instant::now() >= deadline {
                return Err(self.missing(&["the end"], &format!("{within:?} passed")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What has happened on this terminal.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Reads once. False if nothing came until `deadline`.
    fn read_until(&mut self, deadline: Instant) -> Result<bool, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, wait)? == 0 {
            return Ok(false);
        }
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(0) => self.open = false,
            Ok(count) => {
                let text = String::from_utf8_lossy(&bytes[..count]);
                self.unread.push_str(&text);
                self.transcript.push_str(&text);
            }
            // Linux says EIO once nobody holds the other side (pty(7)).
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => self.open = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    fn missing(&self, texts: &[&str], why: &str) -> Failure {
        Failure::new(format!(
            "waited for {texts:?} on the terminal, but {why}; on it was:\n{}",
            self.transcript
        ))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Already reaped or already dead is fine: the aim is that nothing stays.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of `master`, opened by the kernel in the same devpts, wherever that is mounted.
fn terminal_of(master: &File) -> Result<OwnedFd, Failure> {
    let unlocked = 0;
    let flags = nix::libc::O_RDWR | nix::libc::O_NOCTTY | nix::libc::O_CLOEXEC;
    // SAFETY: TIOCSPTLCK reads one int through the pointer, which lives across the call; the descriptor is open.
    unsafe { ioctl::unlock(master.as_raw_fd(), &raw const unlocked) }?;
    // SAFETY: TIOCGPTPEER takes open flags by value and returns a new descriptor, which only the OwnedFd then owns.
    Ok(unsafe { OwnedFd::from_raw_fd(ioctl::peer(master.as_raw_fd(), flags)?) })
}
