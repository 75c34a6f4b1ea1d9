//! Wires the parts together, and unwires them so that no call is lost.

use std::{
    io,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use mfad_protocol::names;
use nix::unistd::Uid;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, watch},
};

use crate::{
    audit::{Trail, syslog},
    bus::{
        listener::{Door, Listener},
        system,
    },
    clock::{Clock, SystemClock},
    config::{Paths, read_key},
    core::Core,
    engine::Engine,
    helper::Helper,
    logind::{Logind, Sessions},
    privilege, rotation,
    store::{seal::Keyring, sqlite::SqliteStore},
};

/// How often the daemon looks whether it is idle.
const TICK: Duration = Duration::from_secs(1);
/// How often it gives back memory that it no longer needs.
const GIVE_BACK: Duration = Duration::from_mins(1);
/// How often a daemon that cannot work, for want of its store or of a good configuration, tries again.
const RECOVER: Duration = Duration::from_secs(3);
/// How long it waits for work then. The next call starts another, with a new view of key and disks: of a running unit's,
/// systemd keeps the file systems as they were when it started.
const CRIPPLED_EXIT: Duration = Duration::from_secs(3);
/// How long it stays then, whoever calls: the one that could help them must not be kept from starting.
const CRIPPLED_LIFE: Duration = Duration::from_secs(15);
/// How long a peer that was accepted just before may take to say what it wants. Short: whoever only sits on a
/// connection must not keep the next daemon from starting.
const LAST_CALLS: Duration = Duration::from_millis(500);
/// How often the daemon looks whether it may go.
const POLL: Duration = Duration::from_millis(5);
/// How long calls in progress may take once the daemon is leaving. With what else happens then it stays below the two
/// seconds that a module waits for the next daemon.
const DRAIN: Duration = Duration::from_secs(1);

/// How the daemon is run.
#[derive(Debug)]
pub struct Options {
    /// Where things are.
    pub paths: Paths,
    /// The system bus.
    pub bus: PathBuf,
}

/// A listening socket and what it is for.
type Socket = (UnixListener, Door);

/// Runs the daemon until it is told to stop, or has been idle where a service manager would start it again.
pub fn run(options: Options) -> io::Result<()> {
    privilege::forbid_dumps()?;
    // SAFETY: umask cannot fail and touches no memory; the process has one thread yet.
    unsafe { libc::umask(0o077) };
    let inherited = inherited_sockets()?;
    let managed = !inherited.is_empty();
    let sockets = if managed {
        inherited
    } else {
        bind_sockets(&options.paths)?
    };
    // Read while still root: the key file is root's alone. A missing key is reported, not fatal.
    let key = read_key(&options.paths);
    if Uid::effective().is_root() && options.paths.owner == 0 {
        let user = privilege::daemon_user()?;
        privilege::hand_over_state(&options.paths.state_dir, &user)?;
        privilege::become_user(&user)?;
        privilege::forbid_dumps()?; // setuid(2) may have reset it
    }
    let keyring = key
        .map_err(|error| error.to_string())
        .and_then(|bytes| Keyring::parse(&bytes).map_err(|error| error.to_string()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(options, sockets, keyring, managed));
    // A look-up that the name service holds must not keep the next daemon from starting.
    runtime.shutdown_timeout(LAST_CALLS);
    served
}

async fn serve(
    options: Options,
    sockets: Vec<Socket>,
    keyring: Result<Keyring, String>,
    managed: bool,
) -> io::Result<()> {
    // First: a daemon that is told to leave before it listens for that would take the calls that it has got along.
    let signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let trail = Trail::to(syslog::SOCKET);
    let bus = Arc::new(Mutex::new(None));
    let owner = options.paths.owner;
    let core = Arc::new(Core::start(
        options.paths.clone(),
        assembler(
            options.paths.clone(),
            keyring,
            Arc::clone(&clock),
            trail.clone(),
            Arc::new(Logind::on(Arc::clone(&bus))),
        ),
        clock,
        trail,
    ));
    let (stop, stopped) = watch::channel(false);
    for (socket, door) in sockets {
        let listener = Listener::new(socket, door, Arc::clone(&core), owner)?;
        tokio::spawn(listener.run(stopped.clone()));
    }
    // The first attempt is awaited, so that "ready" means ready on the bus too, where there is one.
    let first = system::connect(&core, &options.bus).await.ok();
    bus.lock().await.clone_from(&first);
    let staying = tokio::spawn(system::stay(
        Arc::clone(&core),
        options.bus,
        first,
        Arc::clone(&bus),
    ));
    tokio::spawn(rotation::run(Arc::clone(&core)));
    let _no_manager = sd_notify::notify(&[NotifyState::Ready]);
    wait_for_the_end(&core, managed, signals).await;
    let _no_manager = sd_notify::notify(&[NotifyState::Stopping]);
    stop.send_replace(true);
    staying.abort();
    leave(&core, &bus).await;
    Ok(())
}

/// What the daemon is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Returns when the daemon should end: a signal, or idleness where somebody will start it again.
async fn wait_for_the_end(core: &Arc<Core>, managed: bool, mut signals: Signals) {
    let mut tick = tokio::time::interval(TICK);
    let mut recover = tokio::time::interval_at(tokio::time::Instant::now() + RECOVER, RECOVER);
    // Opening a locked store takes its time, which must not become a burst of tries.
    recover.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut give_back =
        tokio::time::interval_at(tokio::time::Instant::now() + GIVE_BACK, GIVE_BACK);
    let watchdog = sd_notify::watchdog_enabled().is_some();
    let mut crippled_since: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => drop(core.reload(None)),
            _ = recover.tick() => core.recover(),
            _ = give_back.tick(), if !core.is_serving() => core.give_memory_back(),
            _ = tick.tick() => {
                if watchdog {
                    let _no_manager = sd_notify::notify(&[NotifyState::Watchdog]);
                }
                let quiet = if let Ok(engine) = core.engine() {
                    crippled_since = None;
                    engine.loaded().settings.daemon.idle_exit
                } else {
                    crippled_since.get_or_insert_with(Instant::now);
                    CRIPPLED_EXIT
                };
                let worn_out = crippled_since.is_some_and(|since| since.elapsed() >= CRIPPLED_LIFE);
                if managed && (core.is_idle(quiet) || worn_out) {
                    return;
                }
            }
        }
    }
}

/// Leaves the bus and lets calls in progress end. Peers in the sockets' backlog wait for the next daemon.
async fn leave(core: &Arc<Core>, bus: &Mutex<Option<zbus::Connection>>) {
    let connected = bus.lock().await.take();
    if let Some(bus) = &connected {
        system::leave(bus).await;
    }
    let quiet = async {
        while core.has_arrivals() {
            tokio::time::sleep(POLL).await;
        }
    };
    let _in_time = tokio::time::timeout(LAST_CALLS, quiet).await;
    let drained = async {
        while core.is_serving() {
            tokio::time::sleep(POLL).await;
        }
    };
    let _in_time = tokio::time::timeout(DRAIN, drained).await;
    if let Some(bus) = connected {
        let _in_time = tokio::time::timeout(DRAIN, bus.graceful_shutdown()).await;
    }
}

/// Says how an engine is put together from a configuration that was read.
fn assembler(
    paths: Paths,
    keyring: Result<Keyring, String>,
    clock: Arc<dyn Clock>,
    trail: Trail,
    sessions: Arc<dyn Sessions>,
) -> crate::core::Assemble {
    let keyring = keyring.map(Arc::new);
    Box::new(move |loaded| {
        let keyring = keyring.as_ref().map_err(|problem| vec![problem.clone()])?;
        let path = paths.state_dir.join("mfa.db");
        let store = SqliteStore::open(&path, loaded.settings.store_options())
            .map_err(|error| vec![format!("{}: {error}", path.display())])?;
        Engine::new(
            loaded,
            Arc::new(store),
            Arc::clone(keyring),
            Arc::clone(&clock),
            trail.clone(),
        )
        .map(|engine| {
            engine
                .asking(Arc::clone(&sessions))
                .reaching(Helper::at(paths.run_dir.join(names::FIDO_SOCKET)))
        })
        .map_err(|error| vec![error.to_string()])
    })
}

/// Sockets that systemd has bound, known by their names (`FileDescriptorName=`).
fn inherited_sockets() -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for (raw, name) in sd_notify::listen_fds_with_names()? {
        let door = match name.as_str() {
            "pam" => Door::Pam,
            "user" => Door::User,
            other => {
                return Err(io::Error::other(format!(
                    "a socket named {other} was handed over; expected pam or user"
                )));
            }
        };
        sockets.push((adopt(raw), door));
    }
    Ok(sockets)
}

fn adopt(raw: RawFd) -> UnixListener {
    // SAFETY: systemd hands these descriptors to this process by sd_listen_fds(3), and each is taken once.
    UnixListener::from(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn bind_sockets(paths: &Paths) -> io::Result<Vec<Socket>> {
    let file = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
    let pam = privilege::bind(&paths.run_dir, file(names::PAM_SOCKET), 0o600, paths.owner)?;
    let user = privilege::bind(&paths.run_dir, file(names::USER_SOCKET), 0o666, paths.owner)?;
    Ok(vec![(pam, Door::Pam), (user, Door::User)])
}
