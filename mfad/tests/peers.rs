//! Peers that misbehave on a login socket: what they can take is bounded, whoever else comes is served.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(unsafe_code, reason = "a message read from a socket has no safe form")]

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use mfad::{
    audit::Trail,
    bus::listener::{Door, Listener},
    clock::SystemClock,
    config::Paths,
    core::Core,
};
use mfad_protocol::{Context, Hook, PROTOCOL, Step, names};
use tokio::sync::watch;
use zbus::wire::{Endian, serialized};

/// A daemon without an engine (it has no configuration) behind a socket, on a thread of its own.
struct Daemon {
    socket: PathBuf,
    _stop: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

impl Daemon {
    fn start(door: Door) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("door.sock");
        let listening = UnixListener::bind(&socket).unwrap();
        let paths = Paths::under(directory.path());
        let (stop, stopped) = watch::channel(false);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let nothing = Box::new(|_| Err(vec!["no engine in this test".to_owned()]));
                let clock = Arc::new(SystemClock::start());
                let owner = paths.owner;
                let core = Core::start(paths, nothing, clock, Trail::to("/nonexistent/log"));
                let listener = Listener::new(listening, door, Arc::new(core), owner).unwrap();
                listener.run(stopped).await;
            });
        });
        Self {
            socket,
            _stop: stop,
            _directory: directory,
        }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
    }

    /// Whether a call on this connection is answered.
    fn answers(stream: &mut UnixStream) -> bool {
        let mut reply = [0; 16];
        stream.write_all(&call()).is_ok() && stream.read_exact(&mut reply).is_ok()
    }
}

/// A `Respond` to a dialogue that is not there.
fn call() -> Vec<u8> {
    let answers: Vec<Vec<u8>> = vec![vec![b'0'; 6]];
    let descriptors: Vec<zbus::OwnedFd> = Vec::new();
    zbus::Message::method_call(names::OBJECT, "Respond")
        .interface(names::AUTHENTICATION)
        .build(&("nosuchsession", answers, descriptors))
        .unwrap()
        .data()
        .to_vec()
}

/// The state in which a login begins on this connection.
fn begun(stream: &mut UnixStream) -> String {
    let context = Context {
        protocol: PROTOCOL,
        hook: Some(Hook::Auth),
        service: "su".to_owned(),
        user: "alice".to_owned(),
        ..Context::default()
    };
    let descriptors: Vec<zbus::OwnedFd> = Vec::new();
    let begin = zbus::Message::method_call(names::OBJECT, "Begin")
        .interface(names::AUTHENTICATION)
        .build(&(context, descriptors))
        .unwrap();
    stream.write_all(begin.data()).unwrap();
    let mut reply = vec![0; 1024];
    let length = stream.read(&mut reply).unwrap();
    let context = serialized::Context::new(Endian::Little, 0);
    reply.truncate(length);
    // SAFETY: zbus checks the message as it parses it.
    let reply = unsafe { zbus::Message::from_bytes(serialized::Data::new(reply, context)) };
    let (_, step): (String, Step) = reply.unwrap().body().deserialize().unwrap();
    serde_json::to_value(step.state)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

/// Writes calls and reads nothing, for a second or until the daemon takes no more. Says how many bytes it took.
fn pour(stream: &mut UnixStream) -> usize {
    let one = call();
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let (until, mut poured) = (Instant::now() + Duration::from_secs(1), 0);
    while Instant::now() < until {
        match stream.write(&one) {
            Ok(written) => poured += written,
            // It takes no more, or has hung up.
            Err(_) => break,
        }
    }
    poured
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Descriptors of this process that are sockets bound to that path.
fn held(socket: &Path) -> usize {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap();
    table
        .lines()
        .filter(|line| line.ends_with(socket.to_str().unwrap()))
        .count()
}

#[test]
fn a_peer_that_reads_no_answers_gets_no_more_calls_in_and_costs_no_memory() {
    let daemon = Daemon::start(Door::User);
    let mut warm = daemon.connect();
    assert!(Daemon::answers(&mut warm));
    drop(warm);
    let before = resident();
    let mut silent: Vec<UnixStream> = (0..3).map(|_| daemon.connect()).collect();
    let poured: usize = silent.iter_mut().map(pour).sum();
    assert!(poured < 4 << 20, "{poured} bytes were taken");
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
    assert!(Daemon::answers(&mut daemon.connect()), "others are served");
}

#[test]
fn a_half_closed_connection_keeps_its_place_until_it_is_really_gone() {
    let daemon = Daemon::start(Door::User);
    let mut kept = Vec::new();
    for _ in 0..40 {
        let mut stream = daemon.connect();
        pour_a_little(&mut stream);
        // The daemon may have hung up on it already.
        let _gone = stream.shutdown(Shutdown::Write);
        kept.push(stream);
    }
    // The daemon's ends, and the listening socket, once it has come to all of them.
    let deadline = Instant::now() + Duration::from_secs(20);
    while held(&daemon.socket) > 1 + 4 {
        assert!(Instant::now() < deadline, "{}", held(&daemon.socket));
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(kept);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Daemon::answers(&mut daemon.connect()) {
        assert!(Instant::now() < deadline, "the places came back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn pour_a_little(stream: &mut UnixStream) {
    let one = call();
    for _ in 0..200 {
        if stream.write_all(&one).is_err() {
            return;
        }
    }
}

#[test]
fn one_uid_has_its_share_of_connections_and_is_denied_on_the_next() {
    let daemon = Daemon::start(Door::User);
    let mut four: Vec<UnixStream> = (0..4).map(|_| daemon.connect()).collect();
    // There is no engine here.
    let states: Vec<_> = four.iter_mut().map(begun).collect();
    assert_eq!(states, ["unavailable"; 4]);
    assert_eq!(begun(&mut daemon.connect()), "denied");
    drop(four);
    let deadline = Instant::now() + Duration::from_secs(5);
    while begun(&mut daemon.connect()) != "unavailable" {
        assert!(Instant::now() < deadline, "the places came back");
    }
}

#[test]
fn who_has_yet_to_call_makes_room_on_a_full_socket_and_the_oldest_of_them_first() {
    let daemon = Daemon::start(Door::Pam);
    // As a sudo does that was stopped too early.
    let mut all: Vec<UnixStream> = (0..176).map(|_| daemon.connect()).collect();
    let mut late: Vec<UnixStream> = (0..50).map(|_| daemon.connect()).collect();
    // There is no engine here.
    assert!(late.iter_mut().all(|stream| begun(stream) == "unavailable"));
    for oldest in &mut all[..50] {
        assert_eq!(oldest.read(&mut [0; 16]).unwrap(), 0, "asked to leave");
    }
}

#[test]
fn who_has_had_an_answer_and_stays_makes_room_on_a_full_pam_socket() {
    let daemon = Daemon::start(Door::Pam);
    // Each has made a call, and keeps its connection, as a stopped sudo does.
    let mut all: Vec<UnixStream> = (0..176).map(|_| daemon.connect()).collect();
    assert!(all.iter_mut().all(|stream| begun(stream) == "unavailable"));
    let mut late: Vec<UnixStream> = (0..50).map(|_| daemon.connect()).collect();
    assert!(late.iter_mut().all(|stream| begun(stream) == "unavailable"));
    for oldest in &mut all[..50] {
        assert_eq!(oldest.read(&mut [0; 16]).unwrap(), 0, "asked to leave");
    }
    assert_eq!(begun(&mut all[50]), "unavailable", "the rest stay");
}

#[test]
fn a_peer_that_says_nothing_loses_its_place() {
    let daemon = Daemon::start(Door::User);
    let mut silent = daemon.connect();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0, "hung up");
}

#[test]
fn garbage_half_messages_and_100_megabytes_end_their_own_connection_only() {
    let daemon = Daemon::start(Door::Pam);
    let mut announced = call();
    announced[4..8].copy_from_slice(&(100_u32 << 20).to_le_bytes());
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 4096],
        announced,
    ] {
        let mut stream = daemon.connect();
        stream.write_all(&bytes).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "hung up");
    }
    let mut half = daemon.connect();
    half.write_all(&call()[..20]).unwrap();
    assert!(Daemon::answers(&mut daemon.connect()));
}
