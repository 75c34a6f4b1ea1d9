//! Logs in over the daemon's socket, many at once and as fast as it answers, without libpam and without a D-Bus library:
//! what is measured should be the daemon. It prints a line of JSON and judges nothing but whether a login was granted.
//!
//! `loaddrive FIRST LANES LOGINS CODES`: LANES people from number FIRST on (named as `fill` names them) log in LOGINS times
//! each, with the codes in the file CODES, one a line.

#[path = "../busdrive/wire.rs"]
mod wire;

use std::{
    env, fs,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::resource::{UsageWho, getrusage},
    sys::time::TimeValLike as _,
};
use serde_json::{Value, json};
use wire::{Call, Received};

const SOCKET: &str = "/run/mfad/pam.sock";
/// Most bytes of an answer.
const LONGEST: usize = 65_536;

/// Where a login stands: which call waits for its answer.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Begin,
    Respond,
    Account,
}

/// One person who logs in again and again.
struct Lane {
    user: String,
    done: usize,
    phase: Phase,
    stream: UnixStream,
    grant: String,
    begun: Instant,
}

fn main() -> ExitCode {
    match measure() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("loaddrive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> io::Result<Value> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [first, lanes, logins, codes] = arguments.as_slice() else {
        return Err(io::Error::other(
            "usage: loaddrive FIRST LANES LOGINS CODES",
        ));
    };
    let number = |text: &String| text.parse::<usize>().map_err(io::Error::other);
    let (first, lanes, logins) = (number(first)?, number(lanes)?, number(logins)?);
    let codes: Vec<String> = fs::read_to_string(codes)?
        .lines()
        .map(str::to_owned)
        .collect();
    if codes.len() < logins {
        return Err(io::Error::other("fewer codes than logins"));
    }
    let (start, spent_before) = (Instant::now(), spent()?);
    let mut lanes = (first..first + lanes)
        .map(Lane::begin)
        .collect::<io::Result<Vec<_>>>()?;
    let mut times = Vec::with_capacity(lanes.len() * logins);
    while !lanes.is_empty() {
        for index in ready(&lanes)?.into_iter().rev() {
            if lanes[index].step(&codes, &mut times)? == logins {
                lanes.swap_remove(index);
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok(json!({
        "logins": times.len(),
        "seconds": seconds,
        "processor-seconds": spent()?.saturating_sub(spent_before).as_secs_f64(),
        "median": times.get(times.len() / 2),
        "p99": times.get(times.len() * 99 / 100),
    }))
}

/// Which lanes have an answer to read; waits for one.
fn ready(lanes: &[Lane]) -> io::Result<Vec<usize>> {
    use std::os::fd::AsFd as _;

    let mut polled: Vec<_> = lanes
        .iter()
        .map(|lane| PollFd::new(lane.stream.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut polled, PollTimeout::from(10_000_u16))?;
    let ready: Vec<usize> = (0..polled.len())
        .filter(|index| polled[*index].any().unwrap_or(false))
        .collect();
    if ready.is_empty() {
        return Err(io::Error::other("no answer for ten seconds"));
    }
    Ok(ready)
}

/// Processor time of this process so far.
fn spent() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

impl Lane {
    fn begin(number: usize) -> io::Result<Self> {
        let mut lane = Self {
            user: format!("user{number:07}"),
            done: 0,
            phase: Phase::Begin,
            stream: UnixStream::connect(SOCKET)?,
            grant: String::new(),
            begun: Instant::now(),
        };
        lane.ask_to_begin("auth")?;
        Ok(lane)
    }

    fn ask_to_begin(&mut self, hook: &str) -> io::Result<()> {
        let mut context = json!({
            "protocol": 1, "hook": hook, "service": "bench-load", "user": self.user, "real-uid": 0, "after-password": true,
        });
        if hook == "account" {
            context["grant"] = self.grant.as_str().into();
        }
        self.call("Begin", "a{sv}ah", vec![context, json!([])])
    }

    /// Takes an answer and goes on. Returns how many logins are done.
    fn step(&mut self, codes: &[String], times: &mut Vec<u128>) -> io::Result<usize> {
        let answer = self.answer()?;
        match self.phase {
            Phase::Begin => {
                let session = text(&answer.body, "/0", &answer)?;
                let code = &codes[self.done];
                self.call(
                    "Respond",
                    "saayah",
                    vec![session.into(), json!([code]), json!([])],
                )?;
                self.phase = Phase::Respond;
            }
            Phase::Respond => {
                self.grant = text(&answer.body, "/0/grant", &answer)?;
                self.stream = UnixStream::connect(SOCKET)?;
                self.ask_to_begin("account")?;
                self.phase = Phase::Account;
            }
            Phase::Account => {
                if text(&answer.body, "/1/state", &answer)? != "granted" {
                    return Err(refused(&answer));
                }
                times.push(self.begun.elapsed().as_micros());
                self.done += 1;
                self.stream = UnixStream::connect(SOCKET)?;
                self.begun = Instant::now();
                if self.done < codes.len() {
                    self.ask_to_begin("auth")?;
                    self.phase = Phase::Begin;
                }
            }
        }
        Ok(self.done)
    }

    fn call(&mut self, member: &str, signature: &str, arguments: Vec<Value>) -> io::Result<()> {
        let call = Call {
            destination: None,
            path: "/org/mfad/Mfad1".to_owned(),
            interface: "org.mfad.Mfad1.Authentication".to_owned(),
            member: member.to_owned(),
            signature: signature.to_owned(),
            arguments,
        };
        let bytes = wire::call(&call, 1).ok_or_else(|| io::Error::other("not a call"))?;
        self.stream.write_all(&bytes)
    }

    fn answer(&mut self) -> io::Result<Received> {
        let nonsense = || io::Error::other("the answer makes no sense");
        let mut bytes = vec![0; wire::FIXED];
        self.stream.read_exact(&mut bytes)?;
        let length = wire::length(&bytes).filter(|length| *length <= LONGEST);
        bytes.resize(length.ok_or_else(nonsense)?, 0);
        self.stream.read_exact(&mut bytes[wire::FIXED..])?;
        let answer = wire::read(&bytes).ok_or_else(nonsense)?;
        if answer.kind == wire::ERROR || answer.kind != wire::RETURN || answer.answers != 1 {
            return Err(refused(&answer));
        }
        Ok(answer)
    }
}

/// The text at `place` of what an answer carries; without one the login was refused.
fn text(body: &[Value], place: &str, answer: &Received) -> io::Result<String> {
    Value::from(body.to_vec())
        .pointer(place)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| refused(answer))
}

fn refused(answer: &Received) -> io::Error {
    io::Error::other(format!("refused: {} {:?}", answer.error, answer.body))
}
