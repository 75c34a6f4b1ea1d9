//! The way to `mfad-fido`: a connection for one question, on which the helper starts, and which ends it when it is dropped.
//! What the helper says is only carried here; `factor::fido2` judges it.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mfad_protocol::fido::{Event, FRAME, Outcome, Progress, Request};
use tokio::{net::UnixStream, sync::mpsc, time::timeout_at};
use zeroize::Zeroizing;

/// Most that is told of one question: a helper that says more is not well.
const MOST_TOLD: usize = 1_000;

/// How much longer than a key the helper may take.
const MARGIN: Duration = Duration::from_secs(2);

/// Where the helper is reached.
#[derive(Debug, Clone, Default)]
pub struct Helper {
    socket: Option<PathBuf>,
}

/// A helper that has started and waits for its question, or none.
#[derive(Debug, Clone, Default)]
pub struct Warm(Arc<Mutex<Option<UnixStream>>>);

impl Warm {
    fn take(&self) -> Option<UnixStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The helper cannot be asked, or breaks off.
#[derive(Debug)]
pub struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Helper {
    /// Behind this socket.
    pub fn at(socket: PathBuf) -> Self {
        Self {
            socket: Some(socket),
        }
    }

    /// Whether somebody would start it. Nothing is started by asking that.
    pub fn is_there(&self) -> bool {
        let socket = self.socket.as_ref();
        socket.is_some_and(|path| {
            fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        })
    }

    /// Has a helper started for a question that is likely to come: systemd takes a moment to start it, which nobody notices
    /// who is reading a prompt. One that hears nothing goes by itself.
    pub async fn warm(&self) -> Warm {
        let started = match &self.socket {
            Some(path) => UnixStream::connect(path).await.ok(),
            None => None,
        };
        Warm(Arc::new(Mutex::new(started)))
    }

    /// Asks, in the time until that moment, which is what the request gives a key. What the helper tells meanwhile goes to `news`, if there is room.
    pub async fn ask(
        &self,
        request: &Request,
        warm: &Warm,
        until: Instant,
        news: &mpsc::Sender<Progress>,
    ) -> Result<Outcome, Unreachable> {
        let broken = |error: io::Error| Unreachable(error.to_string());
        let path = self
            .socket
            .as_ref()
            .ok_or_else(|| Unreachable("no helper for security keys here".into()))?;
        let asking = async {
            let stream = match warm.take() {
                // One that has gone meanwhile is noticed when it is asked.
                Some(stream) if send(&stream, request).await.is_ok() => stream,
                _ => {
                    let stream = UnixStream::connect(path).await.map_err(broken)?;
                    send(&stream, request).await.map_err(broken)?;
                    stream
                }
            };
            for _ in 0..MOST_TOLD {
                match receive(&stream).await.map_err(broken)? {
                    Event::Done(outcome) => return Ok(outcome),
                    Event::Progress(progress) => drop(news.try_send(progress)),
                }
            }
            Err(Unreachable("it talks without end".into()))
        };
        timeout_at((until + MARGIN).into(), asking)
            .await
            .unwrap_or_else(|_| Err(Unreachable("it does not keep to its time".into())))
    }
}

async fn send(stream: &UnixStream, request: &Request) -> io::Result<()> {
    // It may hold a PIN: wiped, and as long as it may get at once, since what grows leaves copies.
    let mut text = Zeroizing::new(vec![0; FRAME]);
    let mut place = io::Cursor::new(text.as_mut_slice());
    serde_json::to_writer(&mut place, request)?;
    let length = place.position();
    let announced = u32::try_from(length).map_err(io::Error::other)?;
    let length = usize::try_from(length).map_err(io::Error::other)?;
    write(stream, &announced.to_be_bytes()).await?;
    write(stream, &text[..length]).await
}

async fn receive(stream: &UnixStream) -> io::Result<Event> {
    let mut length = [0; 4];
    fill(stream, &mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME {
        return Err(io::Error::other("a frame beyond its bounds"));
    }
    let mut text = vec![0; length];
    fill(stream, &mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn fill(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        stream.readable().await?;
        match stream.try_read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::Error::other("the helper ended without an answer")),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
