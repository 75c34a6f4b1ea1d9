//! `mfad-fido`: does one thing with the security keys that are plugged in, and ends. It holds no secret and decides
//! nothing: `mfad` makes the challenge and checks every byte of the answer.
//!
//! `ctap-hid-fido2` trusts keys more than one may: some replies make it panic, and its reads wait for ever. So each key is
//! looked at in a thread of its own, panics stay there, and a watchdog ends the process at its deadline or when `mfad` has
//! gone. Nothing is written to standard output or error, which the crate takes for its own, but one line before it begins.

mod assert;
mod confine;
mod failure;
mod key;
mod line;
mod list;
mod make;
mod verification;
mod watch;

use std::{
    fs::OpenOptions,
    os::{fd::AsFd as _, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use mfad_protocol::fido::{Failure, Outcome, Request, WAIT_MS};
use nix::unistd::dup2_stderr;

use crate::{confine::Confined, line::Line, watch::Watch};

/// How long a list of the keys may take: it is asked while somebody waits.
const LIST: Duration = Duration::from_secs(2);

/// Gives up whatever serving a connection does not need, for good: files by Landlock, and after it standard error. `false`:
/// it must not be served. Before anything else, since it holds for this thread and those that it starts.
pub fn confine() -> bool {
    // The numbers are the journal's: a warning, an error.
    match confine::confine() {
        Ok(Confined::Yes) => {}
        Ok(Confined::NotHere) => eprintln!(
            "<4>No Landlock here: a hostile security key that takes over this process could read what every user may."
        ),
        Err(error) => {
            eprintln!("<3>Cannot confine itself: {error}");
            return false;
        }
    }
    OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .is_ok_and(|nowhere| dup2_stderr(nowhere).is_ok())
}

/// Serves the connection that is standard input.
pub fn run() -> ExitCode {
    // The default hook would write what a device said to standard error.
    std::panic::set_hook(Box::new(|_| {}));
    let Ok(input) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    serve(UnixStream::from(input))
}

fn serve(stream: UnixStream) -> ExitCode {
    let Some((line, request)) = Line::receive(stream) else {
        return ExitCode::FAILURE;
    };
    let line = Arc::new(line);
    let deadline = Instant::now() + patience(&request);
    let watch = Watch::start(Arc::clone(&line), deadline);
    let outcome = catch_unwind(AssertUnwindSafe(|| match &request {
        Request::List => list::list(&watch),
        Request::Assert(wanted) => assert::assert(&watch, wanted),
        Request::Make(wanted) => make::make(&watch, wanted),
    }))
    .unwrap_or(Outcome::Failed(Failure::Broken));
    line.finish(&outcome);
    ExitCode::SUCCESS
}

fn patience(request: &Request) -> Duration {
    let asked = match request {
        Request::List => return LIST,
        Request::Assert(wanted) => wanted.timeout_ms,
        Request::Make(wanted) => wanted.timeout_ms,
    };
    Duration::from_millis(u64::from(asked.min(WAIT_MS)))
}
