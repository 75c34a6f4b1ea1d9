//! The daemon itself on a bus of its own, and others on that bus who send too much: it stays small and serves who comes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(unsafe_code, reason = "a thread's own uid has no safe form")]

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{PermissionsExt, chown},
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mfad_protocol::names;
use zbus::{
    Connection, Message,
    connection::Builder,
    fdo,
    message::{self, Flags},
    names::{BusName, WellKnownName},
};

/// The uid of a stranger: nobody. Not a made-up one: the bus lets in only whom it finds in the user database.
const OTHER: u32 = 65534;
/// The uid of somebody who is no stranger to polkit: `bin`, which is everywhere.
const ADMINISTRATOR: u32 = 2;
/// More than any honest message, less than the system bus's own limit.
const HUGE: usize = 30 << 20;
/// What the daemon may come to, in KiB.
const MOST_RESIDENT: usize = 64 << 10;

const CONFIGURATION: &str = r#"<busconfig><type>system</type><listen>unix:path=SOCKET</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/></policy></busconfig>"#;

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

struct Rig {
    daemon: Process,
    _bus: Process,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

impl Rig {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let file = directory.path().join("bus.conf");
        let text = CONFIGURATION.replace("SOCKET", socket.to_str().unwrap());
        fs::write(&file, text).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", file.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = bus.stdout.take().unwrap();
        let bus = Process(bus);
        let mut address = String::new();
        BufReader::new(told).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the bus did not start");
        Self {
            daemon: daemon(directory.path(), &socket),
            _bus: bus,
            socket,
            _directory: directory,
        }
    }

    async fn client(&self) -> Connection {
        let stream = UnixStream::connect(&self.socket).unwrap();
        Builder::unix_stream(stream).build().await.unwrap()
    }

    /// A client of that uid where root runs the tests, else of whoever runs them.
    async fn client_of(&self, uid: u32) -> Connection {
        let socket = self.socket.clone();
        let dialing = std::thread::spawn(move || {
            // The thread's own uid, which the kernel tells the bus: the C library would change all threads'.
            // SAFETY: three integers.
            unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) };
            UnixStream::connect(socket).unwrap()
        });
        let stream = dialing.join().unwrap();
        let own = nix::unistd::geteuid();
        let uid = if own.is_root() { uid } else { own.as_raw() };
        let client = Builder::unix_stream(stream).user_id(uid);
        client.build().await.unwrap()
    }

    /// In KiB, at its highest.
    fn most_resident(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let words = line.unwrap().split_whitespace().nth(1);
        words.unwrap().parse().unwrap()
    }

    /// How many descriptors the daemon has open.
    fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.daemon.0.id()));
        open.unwrap().count()
    }

    /// Until the daemon has its name, and then one answer.
    async fn serves(&self, client: &Connection) {
        let until = Instant::now() + Duration::from_secs(20);
        while !answers(client).await {
            assert!(Instant::now() < until, "the daemon does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Root's daemon would become the user `mfad`, which need not be here: root's tests run it as `daemon`.
fn daemon(directory: &Path, bus: &Path) -> Process {
    const DAEMON: u32 = 1;
    let run = directory.join("run/mfad");
    fs::create_dir_all(&run).unwrap();
    for open in [directory, &directory.join("run"), &run] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let program = directory.join("mfad");
    // Not by us: what another test's thread forks meanwhile would hold the new file open for writing, and so unfit to be run.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_mfad"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let mut mfad = Command::new(program);
    if nix::unistd::geteuid().is_root() {
        chown(&run, Some(DAEMON), Some(DAEMON)).unwrap();
        mfad.uid(DAEMON).gid(DAEMON);
    }
    mfad.arg("--root").arg(directory).arg("--bus").arg(bus);
    Process(mfad.spawn().unwrap())
}

/// Whether a call to a dialogue that is not there is answered.
async fn answers(client: &Connection) -> bool {
    let body = (
        "nosuchsession",
        Vec::<Vec<u8>>::new(),
        Vec::<zbus::OwnedFd>::new(),
    );
    let call = client.call_method(
        Some(names::BUS_NAME),
        names::OBJECT,
        Some(names::AUTHENTICATION),
        "Respond",
        &body,
    );
    matches!(
        tokio::time::timeout(Duration::from_secs(20), call).await,
        Ok(Ok(_))
    )
}

/// What the daemon answers to a call for its status. While it reads what it was sent the bus may have no room for more,
/// refuses at once, and is asked again.
async fn status(client: &Connection) -> zbus::Result<Message> {
    loop {
        let call = client.call_method(
            Some(names::BUS_NAME),
            names::OBJECT,
            Some(names::ADMINISTRATION),
            "Status",
            &(),
        );
        match call.await {
            Err(zbus::Error::FDO(error)) if matches!(*error, fdo::Error::LimitsExceeded(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// A call of the daemon's.
fn call<'a>(client: &'a Connection, interface: &'a str, member: &'a str) -> message::Builder<'a> {
    let name = BusName::from(WellKnownName::try_from(names::BUS_NAME).unwrap());
    Message::method_call(names::OBJECT, member)
        .destination(name)
        .interface(interface)
        .sender(client.unique_name().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn messages_of_30_megabytes_cost_no_memory_and_nobody_else_s_calls() {
    let rig = Rig::start();
    runtime().block_on(async {
        let (hostile, honest) = (rig.client().await, rig.client().await);
        rig.serves(&honest).await;
        let huge = vec![b'x'; HUGE];
        let members = [
            (names::AUTHENTICATION, "Begin"),
            (names::AUTHENTICATION, "Respond"),
            (names::ENROLLMENT, "Begin"),
            (names::ENROLLMENT, "Confirm"),
            (names::ADMINISTRATION, "EnrollUser"),
            (names::ADMINISTRATION, "Audit"),
            (names::ADMINISTRATION, "NoSuchMember"),
            ("org.example.NoSuchInterface", "Begin"),
        ];
        for (interface, member) in members {
            let message = call(&hostile, interface, member).build(&huge).unwrap();
            for _ in 0..2 {
                hostile.send(&message).await.unwrap();
            }
            assert!(answers(&honest).await, "after {interface}.{member}");
        }
        // The one who sent them is served too, with what is no larger than it should be.
        assert!(answers(&hostile).await);
        let resident = rig.most_resident();
        println!("16 messages of 30 MiB: VmHWM {resident} KiB");
        assert!(resident < MOST_RESIDENT, "{resident} KiB");
    });
}

#[test]
fn messages_with_many_descriptors_leave_none_open_and_cost_nobody_s_calls() {
    let rig = Rig::start();
    runtime().block_on(async {
        let (hostile, honest) = (rig.client().await, rig.client().await);
        rig.serves(&honest).await;
        let before = rig.descriptors();
        let file = fs::File::open("/dev/null").unwrap();
        let eight: Vec<zbus::Fd<'_>> = (0..8).map(|_| zbus::Fd::from(&file)).collect();
        let body = ("nosuchsession", Vec::<Vec<u8>>::new(), eight);
        for _ in 0..200 {
            let message = call(&hostile, names::AUTHENTICATION, "Respond").build(&body);
            hostile.send(&message.unwrap()).await.unwrap();
        }
        assert!(answers(&honest).await);
        let after = rig.descriptors();
        println!("1600 descriptors: {before} open before, {after} after");
        assert!(after < before + 16, "{after}");
    });
}

/// polkit as the daemon sees it, with an agent that answers for one caller at once and for nobody else ever.
struct Polkit {
    knows: String,
}

type Authorization = (bool, bool, HashMap<String, String>);

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Polkit {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, zbus::OwnedVariant>),
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        cancellation: String,
    ) -> Authorization {
        drop((action, details, flags, cancellation));
        let name = subject.1.get("name").cloned();
        if name.and_then(|name| String::try_from(name).ok()) != Some(self.knows.clone()) {
            std::future::pending::<()>().await;
        }
        (true, false, HashMap::new())
    }
}

#[test]
fn callers_whose_polkit_agent_never_answers_keep_no_administrator_waiting() {
    if !nix::unistd::geteuid().is_root() {
        // Past the capture of a passed test's output: the summary of run-tests counts it.
        let said = b"SKIPPED callers_whose_polkit_agent_never_answers_keep_no_administrator_waiting: only root's test can be \
                     two different users\n";
        std::io::stdout().write_all(said).unwrap();
        return;
    }
    let rig = Rig::start();
    runtime().block_on(async {
        let honest = rig.client_of(ADMINISTRATOR).await;
        rig.serves(&honest).await;
        let polkit = rig.client().await;
        let knows = honest.unique_name().unwrap().to_string();
        let served = polkit
            .object_server()
            .at("/org/freedesktop/PolicyKit1/Authority", Polkit { knows });
        assert!(served.await.unwrap().is_none());
        let name = "org.freedesktop.PolicyKit1";
        polkit.request_name(name).await.unwrap();
        let mut hostile = Vec::new();
        for _ in 0..40 {
            let client = rig.client_of(OTHER).await;
            let asking = || call(&client, names::ADMINISTRATION, "ListUsers");
            let (small, large) = (("x", 1_u32), ("x".repeat(60_000), 1_u32));
            for _ in 0..40 {
                let unasked = asking().with_flags(Flags::NO_REPLY_EXPECTED);
                let all = [
                    asking().build(&small),
                    asking().build(&large),
                    unasked.build(&large),
                ];
                for message in all {
                    client.send(&message.unwrap()).await.unwrap();
                }
            }
            // The bus answers in order: it has handed on all of the above when it answers this.
            let bus = fdo::DBusProxy::new(&client).await.unwrap();
            bus.get_id().await.unwrap();
            hostile.push(client);
        }
        let status = tokio::time::timeout(Duration::from_secs(20), status(&honest)).await;
        assert!(matches!(status, Ok(Ok(_))), "{status:?}");
        let resident = rig.most_resident();
        println!("4,800 calls that wait for polkit: VmHWM {resident} KiB");
        assert!(resident < MOST_RESIDENT, "{resident} KiB");
    });
}

/// A bus whose backlog is full: connecting to it blocks whoever waits for it.
#[test]
fn a_bus_that_accepts_nobody_holds_up_no_login_socket() {
    let directory = tempfile::tempdir().unwrap();
    let bus = directory.path().join("bus");
    let nobody_accepts = UnixListener::bind(&bus).unwrap();
    nix::sys::socket::listen(&nobody_accepts, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
    fs::set_permissions(&bus, fs::Permissions::from_mode(0o777)).unwrap();
    let mut waiting = Vec::new();
    while waiting.len() < 100 {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .unwrap();
        let address = nix::sys::socket::UnixAddr::new(&bus).unwrap();
        let raw = std::os::fd::AsRawFd::as_raw_fd(&socket);
        if nix::sys::socket::connect(raw, &address).is_err() {
            break;
        }
        waiting.push(socket);
    }
    assert!(waiting.len() < 100, "the backlog is not full");
    let _daemon = daemon(directory.path(), &bus);
    let socket = directory.path().join("run/mfad/user.sock");
    let until = Instant::now() + Duration::from_secs(20);
    let mut peer = loop {
        match UnixStream::connect(&socket) {
            Ok(peer) => break peer,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let body = (
        "nosuchsession",
        Vec::<Vec<u8>>::new(),
        Vec::<zbus::OwnedFd>::new(),
    );
    let respond = Message::method_call(names::OBJECT, "Respond")
        .interface(names::AUTHENTICATION)
        .build(&body)
        .unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    peer.write_all(respond.data()).unwrap();
    peer.read_exact(&mut [0; 16]).unwrap();
}
