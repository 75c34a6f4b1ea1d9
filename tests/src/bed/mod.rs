//! A machine to log in to, thrown away after one case. It starts, is entered, and ends; what is in it is `host`'s matter.

mod mirror;
pub mod ns;
pub mod nspawn;
pub mod vm;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::Failure;

/// Which kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Linux namespaces around this machine's own programs, without systemd: `packaging/demo/sandbox`.
    Namespaces,
    /// A container with systemd as its init.
    Nspawn,
    /// A virtual machine with Debian's kernel, systemd and virtual security keys.
    Vm,
}

impl Kind {
    /// The word for it on the command line and in results.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "ns",
            Self::Nspawn => "nspawn",
            Self::Vm => "vm",
        }
    }

    /// How much longer than elsewhere things may take there.
    pub const fn slowness(self) -> u32 {
        match self {
            // They are quick, but the machine may be busy.
            Self::Namespaces | Self::Nspawn => 3,
            Self::Vm => vm::SLOWNESS,
        }
    }
}

/// A machine that is up.
#[derive(Debug)]
pub struct Bed {
    kind: Kind,
    /// The process that started the machine and waits for it.
    keeper: Child,
    init: Init,
    /// Directories to remove at the end; of control groups, those below too.
    left: Vec<PathBuf>,
    way: Way,
}

/// The way in.
#[derive(Debug)]
enum Way {
    /// The namespaces of its process 1.
    Namespaces,
    /// A connection.
    Line(vm::Line),
}

/// A machine's process 1; of a virtual machine, the process that it runs in.
#[derive(Debug, Clone)]
pub struct Init {
    /// Its number on this machine.
    pid: u32,
    /// Its process namespace, which tells it from a stranger that got its number later.
    namespace: PathBuf,
}

impl Init {
    fn of(pid: u32) -> Option<Self> {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
        Some(Self { pid, namespace })
    }

    /// Ends the machine: the kernel takes every process of it along.
    pub fn kill(&self) {
        let same = Self::of(self.pid).is_some_and(|found| found.namespace == self.namespace);
        if let (true, Ok(pid)) = (same, i32::try_from(self.pid)) {
            // It may end by itself at this moment, which is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Bed {
    /// Which kind it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The process to kill to end the machine from elsewhere.
    pub fn init(&self) -> Init {
        self.init.clone()
    }

    /// Where to make a terminal that [`Bed::on_terminal`] can have: in the machine, or before the line into it.
    pub fn devpts(&self) -> PathBuf {
        match self.way {
            Way::Namespaces => PathBuf::from(format!("/proc/{}/root/dev/pts", self.init.pid)),
            Way::Line(_) => PathBuf::from("/dev/pts"),
        }
    }

    /// A command that runs `arguments` inside, as root, with a terminal of the machine's as its controlling one.
    pub fn on_terminal(&self, arguments: &[&str]) -> Command {
        if let (Way::Line(line), [program, arguments @ ..]) = (&self.way, arguments) {
            let mut command = line.command(program, true);
            command.args(arguments);
            return command;
        }
        let mut command = self.command("setsid");
        command.args(["--ctty", "--wait"]).args(arguments);
        command
    }

    /// A command that runs `program` inside, as root, with nothing of this process's environment.
    pub fn command(&self, program: &str) -> Command {
        if let Way::Line(line) = &self.way {
            return line.command(program, false);
        }
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init.pid))
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
        // Its process 1 first: systemd-nspawn, killed itself, would leave it running. What cannot be ended or removed
        // here cannot be helped here either.
        self.init.kill();
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.keeper.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        for directory in &self.left {
            match self.way {
                Way::Namespaces => remove_empty(directory),
                Way::Line(_) => drop(fs::remove_dir_all(directory)),
            }
        }
    }
}

/// Removes a directory and those in it that hold no files (control groups hold some, which go with them).
fn remove_empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(directory);
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
            for init in children(keeper.id()).into_iter().filter_map(Init::of) {
                init.kill();
            }
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
