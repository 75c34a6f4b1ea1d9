//! The watchdog: ends the process at its deadline and when `mfad` has gone, whatever a key does or does not. Before that it
//! tells the key to stop blinking.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsFd as _,
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use mfad_protocol::fido::{Failure, Outcome, Progress};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::line::Line;

/// How long a key has to take note that it is no longer wanted.
const FAREWELL: Duration = Duration::from_millis(50);
/// `CTAPHID_CANCEL` (CTAP 2.1 §11.2.9.1.5), with the bit of a first packet.
const CANCEL: u8 = 0x80 | 0x11;
/// A report of 64 bytes and its number, which is 0.
const REPORT: usize = 65;

/// What the threads of one request share.
pub(crate) struct Watch {
    line: Arc<Line>,
    deadline: Instant,
    state: Mutex<State>,
}

struct State {
    /// What to say at the deadline.
    obstacle: Failure,
    told: Option<Progress>,
    /// The key that waits for a touch.
    waiting: Option<Waiting>,
}

/// A key that waits for a touch: its node, and the channel of the request.
pub(crate) struct Waiting {
    pub(crate) node: File,
    pub(crate) channel: [u8; 4],
}

impl Waiting {
    /// By a write of our own: the crate's goes through a lock that its read holds.
    fn cancel(&mut self) {
        let mut report = [0; REPORT];
        report[1..5].copy_from_slice(&self.channel);
        report[5] = CANCEL;
        if self.node.write_all(&report).is_ok() {
            thread::sleep(FAREWELL);
        }
    }
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start(line: Arc<Line>, deadline: Instant) -> Arc<Self> {
        let state = Mutex::new(State {
            obstacle: Failure::Timeout,
            told: None,
            waiting: None,
        });
        let watch = Arc::new(Self {
            line,
            deadline,
            state,
        });
        let watching = Arc::clone(&watch);
        thread::spawn(move || watching.keep());
        watch
    }

    /// Time left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Notes what is in the way now, and tells `mfad` if that has changed.
    pub(crate) fn obstacle(&self, progress: Progress) {
        let mut state = self.state();
        state.obstacle = match progress {
            Progress::Touch => Failure::Timeout,
            Progress::Absent => Failure::Absent,
            Progress::Foreign => Failure::Foreign,
            Progress::Busy => Failure::Busy,
            Progress::Broken => Failure::Broken,
        };
        if state.told != Some(progress) {
            state.told = Some(progress);
            self.line.progress(progress);
        }
    }

    /// What was in the way last.
    pub(crate) fn verdict(&self) -> Failure {
        self.state().obstacle
    }

    /// A key waits for a touch from now on; `None`: no longer.
    pub(crate) fn waits(&self, waiting: Option<Waiting>) {
        let touch = waiting.is_some();
        self.state().waiting = waiting;
        if touch {
            self.obstacle(Progress::Touch);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) -> ! {
        let gone = self.wait();
        if let Some(waiting) = &mut self.state().waiting {
            waiting.cancel();
        }
        if !gone {
            self.line.finish(&Outcome::Failed(self.verdict()));
        }
        process::exit(0);
    }

    /// Until `mfad` hangs up, or says more than it may (`true`), or the time is over.
    fn wait(&self) -> bool {
        loop {
            let left = self.left();
            if left.is_zero() {
                return false;
            }
            let milliseconds = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
            let mut watched = [PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, PollTimeout::from(milliseconds.max(1))) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                _ => return true,
            }
        }
    }
}
