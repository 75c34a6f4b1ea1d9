//! The connection to `mfad`: reads one request, writes events, and writes the end exactly once. It looks at no key.

use std::{
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mfad_protocol::fido::{Event, FRAME, Outcome, Progress, Request};
use zeroize::Zeroizing;

/// How long `mfad` may take to say what it wants: it has the helper started while a person still reads the prompt.
const QUESTION: Duration = Duration::from_secs(90);
/// How long it may take to take an answer.
const PROMPT: Duration = Duration::from_secs(5);

/// One connection.
pub(crate) struct Line {
    stream: UnixStream,
    /// Whether the end has been written: the watchdog may get there first.
    finished: Mutex<bool>,
}

impl Line {
    /// The line, and what `mfad` wants. `None` if it says nothing, or nonsense.
    pub(crate) fn receive(mut stream: UnixStream) -> Option<(Self, Request)> {
        stream.set_read_timeout(Some(QUESTION)).ok()?;
        stream.set_write_timeout(Some(PROMPT)).ok()?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        if length > FRAME {
            return None;
        }
        // It may hold a PIN.
        let mut frame = Zeroizing::new(vec![0; length]);
        stream.read_exact(&mut frame).ok()?;
        let request = serde_json::from_slice(&frame).ok()?;
        let finished = Mutex::new(false);
        Some((Self { stream, finished }, request))
    }

    /// Tells what the person should know.
    pub(crate) fn progress(&self, progress: Progress) {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if !*finished {
            self.write(&Event::Progress(progress));
        }
    }

    /// Tells how it ended, unless that has been told.
    pub(crate) fn finish(&self, outcome: &Outcome) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if !*finished {
            *finished = true;
            self.write(&Event::Done(outcome.clone()));
        }
    }

    /// A reader that has gone is noticed by the watchdog.
    fn write(&self, event: &Event) {
        let Ok(text) = serde_json::to_vec(event) else {
            return;
        };
        let Ok(length) = u32::try_from(text.len()) else {
            return;
        };
        if text.len() > FRAME {
            return;
        }
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&text);
        let _gone = (&self.stream).write_all(&frame);
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
