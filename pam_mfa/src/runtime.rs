//! Owns the executor that D-Bus work runs on: the calling thread, `poll(2)` and an end of patience. It must never start a
//! thread, open a descriptor, install a signal handler or run anything once `block_on` has returned.
//!
//! zbus takes a runtime of the caller's. The one that it brings along hands what is left of a connection to a helper
//! thread whenever the thread leaves `block_on`, which here is while a person types. A thread in a PAM host has hung
//! sudo, so this one makes a thread impossible instead of unlikely, whatever features a build unifies into zbus.

mod task;

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    os::fd::AsFd,
    path::Path,
    pin::{Pin, pin},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zbus::runtime::{Interest, IoSource, traits};

use crate::patience::Patience;
use task::{Cell, Flag, Task};

/// Turns that are taken once no patience is left, for what has come by then to be read and handed on.
const LAST_TURNS: u32 = 8;

/// A handle on one executor. The last handle takes the tasks along.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<Shared>);

/// No patience was left before the future was done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

#[derive(Default)]
struct Shared {
    tasks: Mutex<Vec<Arc<Cell>>>,
    waits: Mutex<Vec<Wait>>,
    timers: Mutex<Vec<(Instant, Waker)>>,
    next_registration: AtomicU64,
}

/// Someone waits for a descriptor.
struct Wait {
    registration: u64,
    interest: Interest,
    source: IoSource,
    waker: Waker,
}

/// No code here panics while it holds a lock, so a poisoned one still guards sound data.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Runs `future`, and the tasks beside it, until it is done or no `patience` is left.
    pub(crate) fn block_on<F: Future>(
        &self,
        patience: &mut Patience,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let woken = Arc::new(Flag::raised());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut last_turns = LAST_TURNS;
        loop {
            if woken.take()
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                return Ok(output);
            }
            let ran = self.0.run_tasks();
            if woken.is_raised() {
                continue;
            }
            // Asked for on every turn: a peer that never stops sending must not keep us for ever.
            if let Some(piece) = patience.piece() {
                if !ran {
                    self.0.wait(piece);
                }
                continue;
            }
            let came = ran || self.0.wait(Duration::ZERO);
            if !came || last_turns == 0 {
                return Err(Elapsed);
            }
            last_turns -= 1;
        }
    }

    /// Watches `source`, which must be non-blocking.
    fn register(&self, source: IoSource) -> Registration {
        Registration {
            id: self.0.next_registration.fetch_add(1, Ordering::Relaxed),
            source,
            shared: self.0.clone(),
        }
    }

    /// Drops every task. What a connection leaves behind refers back to the runtime; this cuts the circle.
    pub(crate) fn shut_down(&self) {
        let tasks = std::mem::take(&mut *lock(&self.0.tasks));
        for task in tasks {
            task.cancel();
        }
        lock(&self.0.waits).clear();
        lock(&self.0.timers).clear();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Shared {
    /// Polls each task that was woken, once. Says whether there was any.
    fn run_tasks(&self) -> bool {
        let woken: Vec<_> = lock(&self.tasks)
            .iter()
            .filter(|task| task.is_woken())
            .cloned()
            .collect();
        for task in &woken {
            task.run();
        }
        if !woken.is_empty() {
            lock(&self.tasks).retain(|task| !task.is_over());
        }
        !woken.is_empty()
    }

    /// Sleeps until a descriptor is ready, a timer is due or so much time has passed, and wakes whom it concerns. Says
    /// whether a descriptor was ready.
    fn wait(&self, longest: Duration) -> bool {
        let now = Instant::now();
        let sleep = lock(&self.timers)
            .iter()
            .map(|(at, _)| at.saturating_duration_since(now))
            .fold(longest, Duration::min);
        let waits = std::mem::take(&mut *lock(&self.waits));
        let mut polled: Vec<_> = waits
            .iter()
            .map(|wait| PollFd::new(wait.source.as_fd(), flags(wait.interest)))
            .collect();
        let timeout = poll_timeout(sleep);
        // An interrupted poll looks like one that found nothing: the loop asks the clock and comes back. The
        // descriptors are ours and open, so no other error can occur but a lack of memory, which is met alike.
        let ready = poll(&mut polled, timeout).is_ok_and(|count| count > 0);
        let events: Vec<bool> = polled
            .iter()
            .map(|fd| ready && fd.any().unwrap_or(true))
            .collect();
        drop(polled);

        let mut waiting = Vec::new();
        for (wait, is_ready) in waits.into_iter().zip(events) {
            if is_ready {
                wait.waker.wake();
            } else {
                waiting.push(wait);
            }
        }
        lock(&self.waits).append(&mut waiting);

        let now = Instant::now();
        let mut timers = lock(&self.timers);
        timers
            .extract_if(.., |(at, _)| *at <= now)
            .for_each(|(_, waker)| waker.wake());
        ready
    }
}

const fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Writable => PollFlags::POLLOUT,
        _ => PollFlags::POLLIN,
    }
}

/// Rounded up to milliseconds: rounding down would spin through the last one.
pub(crate) fn poll_timeout(left: Duration) -> PollTimeout {
    let millis = left.as_micros().div_ceil(1000);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// Readiness of one descriptor.
pub(crate) struct Registration {
    id: u64,
    source: IoSource,
    shared: Arc<Shared>,
}

impl traits::PollIo for Registration {
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => return Poll::Ready(result),
            }
        }
        let mut waits = lock(&self.shared.waits);
        waits.retain(|wait| wait.registration != self.id || wait.interest != interest);
        waits.push(Wait {
            registration: self.id,
            interest,
            source: self.source.clone(),
            waker: cx.waker().clone(),
        });
        Poll::Pending
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.shared.waits).retain(|wait| wait.registration != self.id);
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A timer.
pub(crate) struct Sleep {
    until: Instant,
    shared: Arc<Shared>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.until {
            return Poll::Ready(());
        }
        let mut timers = lock(&self.shared.timers);
        timers.retain(|(at, waker)| *at != self.until || !waker.will_wake(cx.waker()));
        timers.push((self.until, cx.waker().clone()));
        Poll::Pending
    }
}

impl traits::Runtime for Runtime {
    type RegisteredIoSource = Registration;
    type Sleep = Sleep;
    type Task<T>
        = Task<T>
    where
        T: Send + 'static;

    fn register_io_source(&self, source: IoSource) -> io::Result<Registration> {
        Ok(self.register(source))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let now = Instant::now();
        Sleep {
            until: now.checked_add(duration).unwrap_or(now),
            shared: self.0.clone(),
        }
    }

    fn spawn<T>(&self, _name: &str, future: impl Future<Output = T> + Send + 'static) -> Task<T>
    where
        T: Send + 'static,
    {
        let (task, cell) = Task::of(future);
        lock(&self.0.tasks).push(cell);
        task
    }

    // The module connects its own sockets, and starts no process: an address from elsewhere has no way in.
    async fn connect_tcp(&self, _address: SocketAddr) -> io::Result<IoSource> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect_unix(&self, _path: &Path) -> io::Result<IoSource> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn spawn_process(
        &self,
        _command: Command,
        _stdin: Stdio,
        _stdout: Stdio,
        _stderr: Stdio,
    ) -> io::Result<Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'static>>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// On the calling thread: the default would start one.
    fn spawn_blocking<T>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send + 'static>>
    where
        T: Send + 'static,
    {
        Box::pin(std::future::ready(work()))
    }
}

#[cfg(test)]
mod tests;
