//! The empty program of `make bench`: what a service costs that does nothing, to tell what systemd takes to start one.
//!
//! As a service with a socket: says that it is ready, answers one byte with one byte, ends. `empty --ask SOCKET`, the other
//! side: prints how many microseconds it took from connecting to the answer.

use std::{
    env,
    io::{self, Read as _, Write as _},
    os::{
        fd::FromRawFd as _,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    time::Instant,
};

/// Where systemd puts the first socket (`sd_listen_fds(3)`).
const FIRST_SOCKET: i32 = 3;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--ask"), Some(path)) => ask(&path),
        _ => serve(),
    }
}

fn serve() -> io::Result<()> {
    // SAFETY: systemd hands this descriptor to this process, and it is taken once.
    let listener = unsafe { UnixListener::from_raw_fd(FIRST_SOCKET) };
    if let Some(manager) = env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", manager)?;
    }
    let (mut peer, _) = listener.accept()?;
    let mut byte = [0];
    peer.read_exact(&mut byte)?;
    peer.write_all(&byte)
}

fn ask(path: &str) -> io::Result<()> {
    let begun = Instant::now();
    let mut service = UnixStream::connect(path)?;
    service.write_all(b"?")?;
    service.read_exact(&mut [0])?;
    println!("{}", begun.elapsed().as_micros());
    Ok(())
}
