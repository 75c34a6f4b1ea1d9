//! A machine to log in to, thrown away after one case. It starts, is entered, and ends; what is in it is `host`'s matter.

pub mod ns;
pub mod nspawn;

use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::Failure;

/// Which kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Linux namespaces around this machine's own programs, without systemd: `packaging/demo/sandbox`.
    Namespaces,
    /// A container with systemd as its init.
    Nspawn,
}

impl Kind {
    /// The word for it on the command line and in results.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "ns",
            Self::Nspawn => "nspawn",
        }
    }
}

/// A machine that is up.
#[derive(Debug)]
pub struct Bed {
    kind: Kind,
    /// The process whose end is the machine's end.
    keeper: Child,
    /// The machine's process 1, as this machine numbers it.
    init: u32,
    /// Directory to remove at the end.
    scratch: Option<PathBuf>,
}

impl Bed {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The process to kill to end the machine from elsewhere.
    pub fn keeper(&self) -> u32 {
        self.keeper.id()
    }

    /// Where the machine's terminals are.
    pub fn devpts(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/dev/pts", self.init))
    }

    /// A command that runs `program` inside, as root, with nothing of this process's environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init))
            .args(["--all", "--wdns=/root", "--", program])
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb");
        command
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Whatever the keeper keeps dies with it; nothing else can be done about an error here.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let deadline = Instant::now() + Duration::from_secs(10);
        // A dead process has no namespace, though its number may stay a while, until the system collects it.
        while fs::read_link(format!("/proc/{}/ns/pid", self.init)).is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(scratch) = &self.scratch {
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

/// The children of a process.
fn children(of: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{of}/task/{of}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Calls `probe` until it has an answer. Fails with what the keeper printed, should that end first, or at the deadline.
fn await_start<T>(
    keeper: &mut Child,
    within: Duration,
    mut probe: impl FnMut(u32) -> Option<T>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = probe(keeper.id()) {
            return Ok(answer);
        }
        let ended = keeper.try_wait()?.is_some();
        if ended || Instant::now() >= deadline {
            let _ = keeper.kill();
            let _ = keeper.wait();
            let mut said = String::new();
            if let Some(errors) = &mut keeper.stderr {
                let _ = errors.take(64 * 1024).read_to_string(&mut said);
            }
            let why = if ended {
                "it ended"
            } else {
                "it took too long"
            };
            return Err(Failure::new(format!(
                "the bed did not start: {why}\n{said}"
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
