//! Owns a task's life: woken, polled, done or cancelled. It must know nothing of descriptors and time.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use zbus::runtime::traits;

use super::lock;

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A wake-up that was asked for. Single-threaded by construction, so nobody needs to be roused from `poll`.
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) const fn raised() -> Self {
        Self(AtomicBool::new(true))
    }

    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A task: its future until it is done or cancelled.
pub(super) struct Cell {
    woken: Arc<Flag>,
    future: Mutex<Option<BoxFuture>>,
    cancelled: AtomicBool,
}

impl Cell {
    pub(super) fn run(&self) {
        if !self.woken.take() {
            return;
        }
        // Out of the lock while it runs: a task may cancel itself.
        let Some(mut future) = lock(&self.future).take() else {
            return;
        };
        let waker = Waker::from(self.woken.clone());
        let pending = future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending();
        if pending && !self.cancelled.load(Ordering::Acquire) {
            *lock(&self.future) = Some(future);
        }
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        let future = lock(&self.future).take();
        drop(future);
    }

    pub(super) fn is_woken(&self) -> bool {
        self.woken.is_raised()
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.future).is_none()
    }
}

/// A task's handle; dropping it cancels the task.
pub(crate) struct Task<T> {
    cell: Option<Arc<Cell>>,
    joined: Arc<Mutex<Joined<T>>>,
}

struct Joined<T> {
    output: Option<T>,
    waiter: Option<Waker>,
}

impl<T: Send + 'static> Task<T> {
    /// The handle, for whoever awaits the output, and the cell, for the runtime to run.
    pub(super) fn of(future: impl Future<Output = T> + Send + 'static) -> (Self, Arc<Cell>) {
        let joined = Arc::new(Mutex::new(Joined {
            output: None,
            waiter: None,
        }));
        let result = joined.clone();
        let cell = Arc::new(Cell {
            woken: Arc::new(Flag::raised()),
            future: Mutex::new(Some(Box::pin(async move {
                let output = future.await;
                let mut joined = lock(&result);
                joined.output = Some(output);
                if let Some(waiter) = joined.waiter.take() {
                    waiter.wake();
                }
            }))),
            cancelled: AtomicBool::new(false),
        });
        let task = Self {
            cell: Some(cell.clone()),
            joined,
        };
        (task, cell)
    }
}

impl<T> Future for Task<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut joined = lock(&self.joined);
        if let Some(output) = joined.output.take() {
            return Poll::Ready(Ok(output));
        }
        if self.cell.as_ref().is_none_or(|cell| cell.is_over()) {
            return Poll::Ready(Err(io::Error::other("the task was cancelled")));
        }
        joined.waiter = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.cancel();
        }
    }
}

impl<T: Send + 'static> traits::TaskHandle<T> for Task<T> {
    fn detach(mut self) {
        // It stays in the runtime's list, and goes with `shut_down` at the latest.
        self.cell = None;
    }
}
