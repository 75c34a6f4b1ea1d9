//! Looks at `mfad-fido` as systemd runs it: how soon it answers, and what a helper at work can still open, tried from within
//! it. It asks for no signature, prints JSON and judges nothing.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace,
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};
use serde_json::{Value, json};

const USAGE: &str = "\
usage: fidodrive start N      starts it N times, one after the other, and asks for a list of keys: microseconds to the answer
       fidodrive within       has one that waits for its question open files and a socket: what comes of it
";
const SOCKET: &str = "/run/mfad/fido.sock";
/// The question for a list, with its length.
const LIST: &[u8] = b"\0\0\0\x06\"list\"";
/// How long a helper may take to start.
const START: Duration = Duration::from_secs(20);
/// Below the stack of the other process, beyond what a function may use without saying so (128 bytes).
const BELOW: u64 = 512;

/// What is tried from within: a path, and how it is opened.
const ATTEMPTS: [(&str, i32); 9] = [
    ("/sys/class", libc::O_RDONLY),
    ("/sys/devices", libc::O_RDONLY),
    ("/dev/null", libc::O_RDWR),
    ("/etc/passwd", libc::O_RDONLY),
    ("/proc/self/status", libc::O_RDONLY),
    ("/", libc::O_RDONLY),
    ("/usr/bin", libc::O_RDONLY),
    ("/tmp/mfad-fido", libc::O_WRONLY | libc::O_CREAT),
    ("/dev/shm/mfad-fido", libc::O_WRONLY | libc::O_CREAT),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["start", count] => count.parse().map_err(io::Error::other).and_then(start),
        ["within"] => within(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fidodrive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(count: usize) -> io::Result<Value> {
    let mut micros = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_read_timeout(Some(START))?;
        stream.write_all(LIST)?;
        stream.read_exact(&mut [0; 4])?;
        micros.push(begun.elapsed().as_micros());
        // Until it has gone.
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(json!(micros))
}

fn within() -> io::Result<Value> {
    let before = helpers()?;
    // Held until the end: the helper waits for what is never asked.
    let _stream = UnixStream::connect(SOCKET)?;
    let deadline = Instant::now() + START;
    let helper = loop {
        let new = helpers()?.into_iter().find(|pid| !before.contains(pid));
        if let Some(pid) = new.filter(|pid| listens(*pid)) {
            break Pid::from_raw(pid);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::other("no helper waits for its question"));
        }
        thread::sleep(Duration::from_millis(10));
    };
    ptrace::attach(helper)?;
    stopped(helper)?;
    let mut report = serde_json::Map::new();
    for (path, flags) in ATTEMPTS {
        report.insert(path.to_owned(), open(helper, path, flags)?.into());
    }
    let family = u64::from(libc::AF_UNIX.unsigned_abs());
    let kind = u64::from(libc::SOCK_STREAM.unsigned_abs());
    let socket = call(helper, libc::SYS_socket, [family, kind, 0, 0])?;
    report.insert("socket".to_owned(), outcome(socket).into());
    // It has been made to do what it did not mean to.
    ptrace::kill(helper)?;
    Ok(report.into())
}

/// The processes by that name.
fn helpers() -> io::Result<Vec<i32>> {
    let named = |entry: &fs::DirEntry| {
        fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim() == "mfad-fido")
    };
    Ok(fs::read_dir("/proc")?
        .filter_map(Result::ok)
        .filter(named)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// Whether it waits for something to be said on a socket, which it does once it is confined.
fn listens(pid: i32) -> bool {
    let at = format!("{} ", libc::SYS_recvfrom);
    fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|call| call.starts_with(&at))
}

fn stopped(pid: Pid) -> io::Result<()> {
    match waitpid(pid, None)? {
        WaitStatus::Stopped(..) => Ok(()),
        other => Err(io::Error::other(format!(
            "the helper did not stop: {other:?}"
        ))),
    }
}

fn open(pid: Pid, path: &str, flags: i32) -> io::Result<String> {
    let at = (ptrace::getregs(pid)?.rsp - BELOW) & !0xf;
    let mut bytes = path.as_bytes().to_vec();
    bytes.push(0);
    for (place, word) in (at..).step_by(8).zip(bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..word.len()].copy_from_slice(word);
        ptrace::write(pid, place as ptrace::AddressType, i64::from_ne_bytes(whole))?;
    }
    // From the working directory, which an absolute path does not need.
    let here = i64::from(libc::AT_FDCWD).cast_unsigned();
    let flags = u64::from(flags.unsigned_abs());
    let opened = call(pid, libc::SYS_openat, [here, at, flags, 0o600])?;
    Ok(outcome(opened))
}

/// Has a process that stopped in a system call make another one, by the same instruction.
fn call(pid: Pid, number: i64, arguments: [u64; 4]) -> io::Result<i64> {
    /// Bytes of `syscall`, after which a process in one stands.
    const INSTRUCTION: u64 = 2;
    let before = ptrace::getregs(pid)?;
    let mut registers = before;
    registers.rip -= INSTRUCTION;
    registers.rax = number.cast_unsigned();
    // It is in none any more, so that the kernel does not begin the old one anew.
    registers.orig_rax = u64::MAX;
    [registers.rdi, registers.rsi, registers.rdx, registers.r10] = arguments;
    ptrace::setregs(pid, registers)?;
    ptrace::step(pid, None)?;
    stopped(pid)?;
    let result = ptrace::getregs(pid)?.rax.cast_signed();
    let mut after = before;
    after.orig_rax = u64::MAX;
    ptrace::setregs(pid, after)?;
    Ok(result)
}

fn outcome(result: i64) -> String {
    match i32::try_from(result) {
        Ok(error @ ..=-1) => format!("{:?}", Errno::from_raw(-error)),
        _ => "done".to_owned(),
    }
}
