//! `mfad-fido`: does one thing with the security keys that are plugged in, and ends. It holds no secret and decides
//! nothing: `mfad` makes the challenge and checks every byte of the answer.
//!
//! `ctap-hid-fido2` trusts keys more than one may: some replies make it panic, and its reads wait for ever. So each key is
//! looked at in a thread of its own, panics stay there, and a watchdog ends the process at its deadline or when `mfad` has
//! gone. Nothing is written to standard output or error, which the crate takes for its own.

mod assert;
mod failure;
mod key;
mod line;
mod list;
mod make;
mod verification;
mod watch;

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use mfad_protocol::fido::{Failure, Outcome, Request, WAIT_MS};

use crate::{line::Line, watch::Watch};

/// How long a list of the keys may take: it is asked while somebody waits.
const LIST: Duration = Duration::from_secs(2);

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
