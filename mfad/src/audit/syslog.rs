//! Sends records to syslog, facility `authpriv`, from a thread of its own: whoever reports never waits, and a syslog
//! daemon that is restarted, slow or absent costs records, which are counted, and no login. It decides nothing.
//!
//! The crate `syslog` does the wire format; it neither reconnects nor escapes, so that both are done here.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use super::{Event, Record};

/// Where syslog listens.
pub const SOCKET: &str = "/dev/log";
/// Most records that wait to be sent.
const QUEUE: usize = 1024;
/// How long the syslog daemon may take to accept one record.
const PATIENCE: Duration = Duration::from_secs(1);
/// The name that lines begin with.
const PROCESS: &str = "mfad";

/// How much a line matters; syslog's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Alert,
    Error,
    Warning,
    Notice,
    Info,
}

/// A handle to the sending thread. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Trail {
    queue: Option<SyncSender<(Severity, String)>>,
    enabled: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Trail {
    /// Starts sending to the socket at `path` (see [`SOCKET`]), which may come and go.
    pub fn to(path: impl AsRef<Path>) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let mut line = Line {
            path: path.as_ref().to_owned(),
            logger: None,
            lost: Arc::clone(&lost),
        };
        // Without a thread every record counts as lost, and the store still has them.
        let started = std::thread::Builder::new()
            .name("mfad-syslog".into())
            .spawn(move || line.serve(&receiver));
        Self {
            queue: started.is_ok().then_some(sender),
            enabled: Arc::new(AtomicBool::new(true)),
            lost,
        }
    }

    /// Turns sending on or off (`audit.syslog`), for every clone.
    pub fn enable(&self, on: bool) {
        self.enabled.store(on, Ordering::Relaxed);
    }

    /// Queues a record. Never waits; a record that finds no room is counted as lost.
    ///
    /// On an event loop it is queued once the task that reports has nothing more to do: waking the thread takes longer
    /// than all that is left to do for the answer that somebody waits for.
    pub fn send(&self, record: &Record) {
        if !self.enabled.load(Ordering::Relaxed) {
            return;
        }
        let (trail, line) = (self.clone(), (severity(record), record.json()));
        match tokio::runtime::Handle::try_current() {
            Ok(event_loop) => drop(event_loop.spawn(async move { trail.queue(line) })),
            Err(_) => trail.queue(line),
        }
    }

    fn queue(&self, line: (Severity, String)) {
        let sent = self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(line).is_ok());
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many records were lost since the last one that arrived.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What an operator should notice stands out.
fn severity(record: &Record) -> Severity {
    match (record.event, record.outcome.as_str()) {
        (Event::Alarm, _) => Severity::Alert,
        (_, "unavailable") | (Event::Configuration, "refused") => Severity::Error,
        (
            _,
            "wrong" | "replayed" | "delayed" | "exhausted" | "source-limited" | "not-evaluated"
            | "denied" | "shadow-refused",
        ) => Severity::Warning,
        (Event::Enrollment | Event::Administration | Event::Configuration, _) | (_, "granted") => {
            Severity::Notice
        }
        (Event::Authentication, _) => Severity::Info,
    }
}

type Connected = Logger<LoggerBackend, Formatter3164>;

/// The sending end; lives on its thread.
struct Line {
    path: PathBuf,
    logger: Option<Connected>,
    lost: Arc<AtomicU64>,
}

impl Line {
    fn serve(&mut self, queue: &Receiver<(Severity, String)>) {
        while let Ok((severity, text)) = queue.recv() {
            if !self.send(severity, &text) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let text = format!(
                    "{{\"event\":\"alarm\",\"outcome\":\"records-lost\",\"detail\":\"{lost} records did not reach syslog; the store has them\"}}"
                );
                if !self.send(Severity::Error, &text) {
                    self.lost.fetch_add(lost, Ordering::Relaxed);
                }
            }
        }
    }

    /// Sends one line; once more over a new connection if the old one is dead.
    fn send(&mut self, severity: Severity, text: &str) -> bool {
        if let Some(logger) = &mut self.logger
            && write(logger, severity, text).is_ok()
        {
            return true;
        }
        self.logger = connect(&self.path).ok();
        let sent = self
            .logger
            .as_mut()
            .is_some_and(|logger| write(logger, severity, text).is_ok());
        if !sent {
            self.logger = None;
        }
        sent
    }
}

fn connect(path: &Path) -> io::Result<Connected> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let formatter = Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: PROCESS.into(),
        pid: std::process::id(),
    };
    Ok(Logger::new(LoggerBackend::Unix(socket), formatter))
}

fn write(logger: &mut Connected, severity: Severity, text: &str) -> syslog::Result<()> {
    match severity {
        Severity::Alert => logger.alert(text),
        Severity::Error => logger.err(text),
        Severity::Warning => logger.warning(text),
        Severity::Notice => logger.notice(text),
        Severity::Info => logger.info(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(user: &str, outcome: &str) -> Record {
        Record {
            time: 1,
            event: Event::Authentication,
            outcome: outcome.into(),
            user: Some(user.into()),
            service: None,
            rhost: None,
            tty: None,
            factor: None,
            rule: None,
            by: None,
            detail: None,
            grounds: crate::audit::Grounds::default(),
        }
    }

    fn listen(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_record_is_one_line_with_facility_authpriv_and_its_severity() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let socket = listen(&path);
        let trail = Trail::to(&path);
        trail.send(&record("x\nSep  1 00:00:00 sshd[1]: Accepted", "wrong"));
        let line = receive(&socket);
        assert!(!line.contains('\n'), "{line}");
        assert!(
            line.starts_with("<84>"),
            "authpriv (10) and warning (4): {line}"
        );
        assert!(
            line.contains(&format!(" mfad[{}]: {{\"time\":1,", std::process::id())),
            "{line}"
        );
    }

    #[test]
    fn it_reconnects_and_says_how_many_records_were_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let first = listen(&path);
        let trail = Trail::to(&path);
        trail.send(&record("alice", "granted"));
        assert!(receive(&first).contains("alice"));
        drop(first);
        std::fs::remove_file(&path).unwrap();
        trail.send(&record("bob", "granted"));
        trail.send(&record("carol", "granted"));
        while trail.lost() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let second = listen(&path);
        trail.send(&record("dave", "granted"));
        assert!(receive(&second).contains("dave"));
        assert!(receive(&second).contains("2 records did not reach syslog"));
    }

    #[test]
    fn a_deaf_syslog_never_blocks_whoever_reports() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let _never_read = listen(&path);
        let trail = Trail::to(&path);
        let start = std::time::Instant::now();
        for _ in 0..20 * QUEUE {
            trail.send(&record("alice", "granted"));
        }
        assert!(trail.lost() > 0);
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }

    #[test]
    fn a_trail_that_is_turned_off_sends_nothing_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let socket = listen(&path);
        let trail = Trail::to(&path);
        trail.clone().enable(false);
        trail.send(&record("alice", "granted"));
        trail.enable(true);
        trail.send(&record("bob", "granted"));
        assert!(receive(&socket).contains("bob"));
        assert_eq!(trail.lost(), 0);
    }

    #[test]
    fn alarms_are_alerts() {
        let alarm = Record {
            event: Event::Alarm,
            ..record("alice", "failures")
        };
        assert_eq!(severity(&alarm), Severity::Alert);
        assert_eq!(severity(&record("alice", "unavailable")), Severity::Error);
    }
}
