//! The virtual key as a device of this machine: `vkey run` carries its reports through /dev/uhid and obeys orders from a
//! socket, `vkey tell` gives them.

mod uhid;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    time::{ClockId, clock_gettime},
};
use uhid::Device;
use vkey::Key;

const USAGE: &str = "\
usage: vkey run NAME [--state FILE]    a key by this name is plugged in until this program ends; after each blinking it
                                       prints its own time, and when it answered (monotonic clock)
       vkey tell NAME ORDER...         gives it orders; see below

Both use the socket /run/vkey/NAME.sock, or one in VKEY_RUN. With --state, credentials, counter and PIN outlive the program.

  up=auto|deny|delay:SECONDS|wait     when somebody touches it; with wait, at the order touch
  touch                               now (an error while it does not blink)
  unplug, plug                        takes it out, puts it in
  pin=1234, pin=                      sets the PIN, takes it away
  uv=none|good|bad                    no reader, a finger that it knows, one that it does not
  counter=NUMBER|clone|none           what the next signature carries, goes back, stays at zero
  pin-protocol=both|1|2               which PIN/UV auth protocols it knows
  algorithm=both|es256|eddsa          of new credentials
  attestation=x5c|self                by a certificate, by the credential itself
  fault=none|error-0|busy|silence|endless-keepalive|foreign-channel|wrong-sequence|oversize|
        short-auth-data|no-touch-flag|wrong-rp|wrong-signature
  reset                               forgets everything
  status                              prints how it is
";

/// How long `tell` waits for a key that has just been started.
const START: Duration = Duration::from_secs(10);
/// How long one who gives an order may take over it.
const TALK: Duration = Duration::from_secs(2);
/// How often a key at work looks whether it is touched. It idles without a clock.
const STEP: u8 = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["run", name] => run(name, None),
        ["run", name, "--state", file] => run(name, Some(Path::new(file))),
        ["tell", name, orders @ ..] if !orders.is_empty() => tell(name, orders),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vkey: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the key is plugged in.
#[derive(Debug)]
struct Port {
    title: String,
    device: Option<Device>,
}

impl Port {
    /// Plugs the key in or takes it out, as it has been told.
    fn follow(&mut self, key: &Key) -> io::Result<()> {
        match (key.plugged(), &self.device) {
            (true, None) => self.device = Some(Device::plug(&self.title)?),
            (false, Some(_)) => self.device = None,
            _ => {}
        }
        Ok(())
    }
}

/// The key's own time: what it has spent on commands since it blinked last, the waiting for a touch included.
#[derive(Debug, Default)]
struct Stint {
    since: Option<Instant>,
    worked: Duration,
    blinked: bool,
}

impl Stint {
    /// Once a command that made it blink is answered, says how long all took, and when that was.
    fn tell(&mut self, key: &Key) -> io::Result<()> {
        self.blinked |= key.blinks();
        if key.works() {
            return Ok(());
        }
        if let Some(since) = self.since.take() {
            self.worked += since.elapsed();
        }
        if self.blinked {
            let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
            let worked = self.worked.as_micros();
            *self = Self::default();
            // Whoever does not listen misses it.
            let _ = writeln!(
                io::stdout(),
                "blinked: worked {worked} us, answered at {} us",
                now.as_micros()
            );
        }
        Ok(())
    }
}

fn socket(name: &str) -> PathBuf {
    let directory = env::var_os("VKEY_RUN").unwrap_or_else(|| "/run/vkey".into());
    Path::new(&directory).join(format!("{name}.sock"))
}

fn run(name: &str, state: Option<&Path>) -> io::Result<()> {
    let mut key = load(state)?;
    let path = socket(name);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let mut port = Port {
        title: format!("Virtual key {name}"),
        device: None,
    };
    port.follow(&key)?;
    let begun = Instant::now();
    let mut saved = key.save();
    let mut stint = Stint::default();
    loop {
        await_something(port.device.as_ref(), &listener, &key)?;
        let woken = Instant::now();
        if let Some(device) = &mut port.device {
            while let Some(report) = device.receive()? {
                key.receive(&report, begun.elapsed());
                stint.since.get_or_insert(woken);
            }
            while let Some(report) = key.transmit(begun.elapsed()) {
                device.send(&report)?;
            }
            stint.tell(&key)?;
        }
        if readable(&listener)? {
            // Somebody who hangs up early has changed their mind.
            let _ = obey(&listener, &mut key, &mut port);
            port.follow(&key)?;
        }
        let now = key.save();
        if now != saved {
            store(state, &now)?;
            saved = now;
        }
    }
}

fn load(state: Option<&Path>) -> io::Result<Key> {
    match state.map(fs::read) {
        Some(Ok(bytes)) => Key::load(&bytes).map_err(io::Error::other),
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Key::new().map_err(io::Error::other),
    }
}

fn store(state: Option<&Path>, bytes: &[u8]) -> io::Result<()> {
    let Some(file) = state else { return Ok(()) };
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, file)
}

/// Sleeps until a report or an order comes, or for a moment where the key is at work.
fn await_something(device: Option<&Device>, listener: &UnixListener, key: &Key) -> io::Result<()> {
    let mut watched = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    if let Some(device) = device {
        watched.push(PollFd::new(device.descriptor(), PollFlags::POLLIN));
    }
    let wait = if key.works() {
        PollTimeout::from(STEP)
    } else {
        PollTimeout::NONE
    };
    match poll(&mut watched, wait) {
        Err(nix::Error::EINTR) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn readable(listener: &UnixListener) -> io::Result<bool> {
    let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut watched, PollTimeout::ZERO)? > 0)
}

/// Takes orders, a line each, from one caller, and answers each with a line.
fn obey(listener: &UnixListener, key: &mut Key, port: &mut Port) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(TALK))?;
    stream.set_write_timeout(Some(TALK))?;
    let lines = BufReader::new(stream.try_clone()?.take(4096)).lines();
    for line in lines {
        let outcome = key.order(line?.trim());
        port.follow(key)?;
        match outcome {
            Ok(said) => writeln!(stream, "ok {said}")?,
            Err(error) => writeln!(stream, "error {error}")?,
        }
    }
    Ok(())
}

fn tell(name: &str, orders: &[&str]) -> io::Result<()> {
    let mut stream = connect(&socket(name))?;
    for order in orders {
        writeln!(stream, "{order}")?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answered = 0;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if let Some(error) = line.strip_prefix("error ") {
            return Err(io::Error::other(error.to_owned()));
        }
        let said = line.strip_prefix("ok ").unwrap_or(&line).trim();
        if !said.is_empty() {
            println!("{said}");
        }
        answered += 1;
    }
    if answered == orders.len() {
        Ok(())
    } else {
        Err(io::Error::other("the key did not answer"))
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + START;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= deadline => {
                return Err(io::Error::other(format!("{}: {error}", path.display())));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
