//! Runs the program on a terminal of its own, as a person does.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// How long a test waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with the program on it.
pub(crate) struct Pty {
    master: File,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Pty {
    /// Starts `command` on a terminal of 100 columns.
    pub(crate) fn start(mut command: Command) -> Self {
        let size = Winsize {
            ws_row: 50,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let slave = File::from(pair.slave);
        command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap());
        // SAFETY: both calls are async-signal-safe and touch nothing of the parent: a session of its own, whose
        // terminal is the standard input.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let master = File::from(pair.master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (master.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last program leaves: EIO.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            master,
            child,
            seen,
        }
    }

    /// All that has been shown.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until `text` has been shown.
    pub(crate) fn expect(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown().contains(text) {
            assert!(
                Instant::now() < deadline,
                "“{text}” is not shown, but: {}",
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types `text`.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Whether what is typed shows.
    pub(crate) fn echoes(&self) -> bool {
        let settings = tcgetattr(self.master.as_fd()).unwrap();
        settings.local_flags.contains(LocalFlags::ECHO)
    }

    /// Waits until what is typed shows, or does not.
    pub(crate) fn expect_echo(&self, wanted: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.echoes() != wanted {
            assert!(Instant::now() < deadline, "echo stays {}", !wanted);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the program's end and returns its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "no end: {}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // A test that failed half-way leaves no program behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
