//! One question to the helper: a process of its own, as systemd would start it, with the connection as standard input.

use std::{
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use mfad_protocol::fido::{Event, FRAME, Outcome, Progress, Request};

use crate::Desk;

/// A helper at work.
pub struct Asking {
    child: Child,
    stream: UnixStream,
    begin: Instant,
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    /// What was told meanwhile.
    pub progress: Vec<Progress>,
    /// The end; `None` if the helper died without one.
    pub outcome: Option<Outcome>,
    /// How long it took.
    pub took: Duration,
    /// How the helper ended.
    pub status: ExitStatus,
    /// What it wrote to standard output and error, which should be nothing of its own.
    pub printed: Vec<u8>,
}

impl Asking {
    /// Starts `helper` and asks.
    pub fn ask(helper: &Path, desk: &Desk, request: &Request) -> Self {
        let asking = Self::start(helper, desk);
        let text = serde_json::to_vec(request).expect("a request");
        asking.write(&text);
        asking
    }

    /// Starts it and says nothing yet.
    pub fn start(helper: &Path, desk: &Desk) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let begin = Instant::now();
        let child = Command::new(helper)
            .env_clear()
            .env("FIDO_SHIM_KEYS", desk.path())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the helper");
        ours.set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a time limit");
        Self {
            child,
            stream: ours,
            begin,
        }
    }

    /// Sends a frame, whatever is in it.
    pub fn write(&self, text: &[u8]) {
        let length = u32::try_from(text.len()).expect("a frame");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(text);
        (&self.stream)
            .write_all(&frame)
            .expect("the helper listens");
    }

    /// Waits for the next event; `None` when there is none any more.
    pub fn event(&mut self) -> Option<Event> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).expect("a length");
        assert!(length <= FRAME, "a frame of {length} bytes");
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).ok()?;
        Some(serde_json::from_slice(&text).expect("an event"))
    }

    /// Waits for that progress.
    pub fn until(&mut self, wanted: Progress) {
        loop {
            match self.event() {
                Some(Event::Progress(progress)) if progress == wanted => return,
                Some(Event::Progress(_)) => {}
                other => panic!("{wanted:?} never came, but {other:?}"),
            }
        }
    }

    /// Waits for the end.
    pub fn answer(mut self) -> Answer {
        let mut progress = Vec::new();
        let mut outcome = None;
        while let Some(event) = self.event() {
            match event {
                Event::Progress(told) => progress.push(told),
                Event::Done(done) => {
                    assert!(outcome.is_none(), "two ends");
                    outcome = Some(done);
                }
            }
        }
        let took = self.begin.elapsed();
        let (status, printed) = Self::ended(self.child);
        Answer {
            progress,
            outcome,
            took,
            status,
            printed,
        }
    }

    /// Hangs up, as `mfad` does when the person gives up, and waits for the helper to end.
    pub fn hang_up(self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        drop(self.stream);
        let (status, _) = Self::ended(self.child);
        (status, begin.elapsed())
    }

    fn ended(mut child: Child) -> (ExitStatus, Vec<u8>) {
        let mut printed = Vec::new();
        if let Some(output) = &mut child.stdout {
            output.read_to_end(&mut printed).expect("its output");
        }
        (child.wait().expect("the helper ends"), printed)
    }
}
