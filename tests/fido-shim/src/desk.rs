//! A desk with keys on it: plugged in and out, given orders, touched.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A report, with its number before it.
const NUMBERED: usize = 1 + vkey::REPORT;
/// How often the keys are told of time.
const TICK: Duration = Duration::from_millis(1);

/// Where keys are plugged in.
pub struct Desk {
    directory: TempDir,
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { directory }
    }

    /// For `FIDO_SHIM_KEYS`.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Puts a new key on it, plugged in.
    pub fn key(&self, name: &str) -> Key {
        let key = Arc::new(Mutex::new(vkey::Key::new().expect("a key")));
        let stop = Arc::new(AtomicBool::new(false));
        let noise = Arc::new(Mutex::new(None));
        let port = Port {
            node: self.path().join(name),
            key: Arc::clone(&key),
            noise: Arc::clone(&noise),
            stop: Arc::clone(&stop),
            readers: Vec::new(),
            open: None,
        };
        let path = port.node.clone();
        let carrier = Some(thread::spawn(move || port.carry()));
        let made = Key {
            held: key,
            noise,
            stop,
            carrier,
        };
        while !path.with_extension("sock").exists() {
            thread::sleep(TICK);
        }
        made
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// A key on the desk.
pub struct Key {
    held: Arc<Mutex<vkey::Key>>,
    noise: Arc<Mutex<Option<Noise>>>,
    stop: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
}

impl Key {
    /// Gives an order (see `vkey::Key::order`).
    pub fn order(&self, order: &str) -> String {
        let said = lock(&self.held).order(order).expect("an order");
        // The carrier takes the node away, or makes it, at its next look.
        if matches!(order, "plug" | "unplug") {
            thread::sleep(20 * TICK);
        }
        said
    }

    /// Changes what it sends from now on, one report in four; `None`: no longer.
    pub fn disturb(&self, seed: Option<u64>) {
        *lock(&self.noise) = seed.map(Noise);
    }

    /// Whether it waits for a touch.
    pub fn blinks(&self) -> bool {
        lock(&self.held).blinks()
    }

    /// Waits until it blinks or does not.
    pub fn wait(&self, blinks: bool) {
        let begin = Instant::now();
        while self.blinks() != blinks {
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "the key never {}",
                if blinks { "blinks" } else { "stops" }
            );
            thread::sleep(TICK);
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(carrier) = self.carrier.take() {
            let _panicked = carrier.join();
        }
    }
}

/// What the kernel is to a key.
struct Port {
    node: PathBuf,
    key: Arc<Mutex<vkey::Key>>,
    noise: Arc<Mutex<Option<Noise>>>,
    stop: Arc<AtomicBool>,
    readers: Vec<Reader>,
    open: Option<(UnixListener, File)>,
}

struct Reader {
    socket: UnixStream,
    half: Vec<u8>,
}

impl Port {
    fn carry(mut self) {
        let begin = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            self.plug();
            self.pass(begin.elapsed());
            thread::sleep(TICK);
        }
        self.unplug();
    }

    /// Makes or takes away the node, as the key is in or out.
    fn plug(&mut self) {
        let plugged = lock(&self.key).plugged();
        if plugged && self.open.is_none() {
            let node = OpenOptions::new()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(&self.node)
                .expect("a node");
            let listener = UnixListener::bind(self.node.with_extension("sock")).expect("a socket");
            listener.set_nonblocking(true).expect("a socket");
            self.open = Some((listener, node));
        } else if !plugged {
            self.unplug();
        }
    }

    fn unplug(&mut self) {
        if self.open.take().is_some() {
            self.readers.clear();
            let _gone = fs::remove_file(self.node.with_extension("sock"));
            let _gone = fs::remove_file(&self.node);
        }
    }

    fn pass(&mut self, now: Duration) {
        let Some((listener, node)) = &mut self.open else {
            return;
        };
        while let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(true).expect("a socket");
            let half = Vec::new();
            self.readers.push(Reader { socket, half });
        }
        let mut key = lock(&self.key);
        // What was written to the node itself: the watchdog's last word.
        let mut written = Vec::new();
        node.seek(SeekFrom::Start(0)).expect("a node");
        if node
            .read_to_end(&mut written)
            .is_ok_and(|length| length >= NUMBERED)
        {
            key.receive(&written[1..NUMBERED], now);
            node.set_len(0).expect("a node");
        }
        self.readers.retain_mut(|reader| reader.hear(&mut key, now));
        while let Some(mut report) = key.transmit(now) {
            if let Some(noise) = &mut *lock(&self.noise) {
                noise.change(&mut report);
            }
            self.readers
                .retain_mut(|reader| reader.socket.write_all(&report).is_ok());
        }
    }
}

impl Reader {
    /// Whether it is still there.
    fn hear(&mut self, key: &mut vkey::Key, now: Duration) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.half.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        while self.half.len() >= NUMBERED {
            let report: Vec<u8> = self.half.drain(..NUMBERED).skip(1).collect();
            key.receive(&report, now);
        }
        true
    }
}

/// Changes reports, the same ones for the same seed (xorshift64*).
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % bound
    }

    fn change(&mut self, report: &mut [u8; vkey::REPORT]) {
        if self.below(4) != 0 {
            return;
        }
        for _ in 0..=self.below(4) {
            // The first bytes, where the lengths are, as often as all the others.
            let place = if self.below(2) == 0 {
                self.below(16)
            } else {
                self.below(vkey::REPORT)
            };
            report[place] ^= 1 << self.below(8);
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
