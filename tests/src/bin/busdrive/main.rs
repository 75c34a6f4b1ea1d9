//! A D-Bus client for tests, of whoever runs it: makes the calls that it reads, a JSON object a line, and prints what each
//! came to. It shares no code with the product, and judges nothing.

mod link;
mod wire;

use std::{
    env,
    io::{self, BufRead, Write},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use link::{Link, To};
use serde_json::{Value, json};
use wire::{Call, Received};

const USAGE: &str = "\
usage: busdrive bus|SOCKET [--races N | --hammer SECONDS --clients N [--fresh]] <CALLS
  SOCKET      of the daemon's; `bus` is the system bus
  --races N   makes the first call N times, each on a connection of its own that is closed 0 to 2 ms after it was sent
  --hammer S  makes the first call again and again for S seconds, by N clients at once
  --fresh     … each on a connection of its own

A call is {\"interface\", \"member\", \"signature\", \"arguments\"}. The argument \"$\" stands for the name that the reply
before it gave (of a dialogue or an offer). A text stands for an array of bytes.
";

const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
const DAEMON: &str = "org.mfad.Mfad1";
const OBJECT: &str = "/org/mfad/Mfad1";

#[derive(Debug)]
enum Task {
    Each,
    Races(u32),
    Hammer {
        time: Duration,
        clients: usize,
        fresh: bool,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((to, task)) = parse(&arguments) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut calls = io::stdin().lock().lines().map_while(Result::ok);
    let mut next = || {
        let line = calls.next()?;
        Some(read_call(&line, to).ok_or(line))
    };
    let done = match task {
        Task::Each => each(to, next),
        Task::Races(count) => match next() {
            Some(Ok(call)) => races(to, &call, count),
            _ => Err(io::Error::other("no call to make")),
        },
        Task::Hammer {
            time,
            clients,
            fresh,
        } => match next() {
            Some(Ok(call)) => {
                println!("{}", hammer(to, &call, time, clients, fresh));
                Ok(())
            }
            _ => Err(io::Error::other("no call to make")),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("busdrive: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<(To<'_>, Task)> {
    let (place, rest) = arguments.split_first()?;
    let to = match place.as_str() {
        "bus" => To::Bus(SYSTEM_BUS),
        path if path.starts_with('/') => To::Peer(path),
        _ => return None,
    };
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let task = match words.as_slice() {
        [] => Task::Each,
        ["--races", count] => Task::Races(count.parse().ok()?),
        ["--hammer", seconds, "--clients", clients, fresh @ ..] => Task::Hammer {
            time: Duration::from_secs_f32(seconds.parse().ok()?),
            clients: clients.parse().ok()?,
            fresh: match fresh {
                [] => false,
                ["--fresh"] => true,
                _ => return None,
            },
        },
        _ => return None,
    };
    Some((to, task))
}

fn read_call(line: &str, to: To<'_>) -> Option<Call> {
    let call: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| call[key].as_str().map(str::to_owned);
    Some(Call {
        destination: matches!(to, To::Bus(_)).then(|| DAEMON.to_owned()),
        path: OBJECT.to_owned(),
        interface: text("interface")?,
        member: text("member")?,
        signature: text("signature")?,
        arguments: call["arguments"].as_array()?.clone(),
    })
}

/// Makes the calls one after the other on one connection, or, when that ends, on the next.
fn each(to: To<'_>, mut next: impl FnMut() -> Option<Result<Call, String>>) -> io::Result<()> {
    let (mut link, mut given) = (None, String::new());
    while let Some(call) = next() {
        let mut call = call.map_err(|line| io::Error::other(format!("no call: {line}")))?;
        for argument in &mut call.arguments {
            if argument == "$" {
                *argument = given.clone().into();
            }
        }
        let came = open(&mut link, to).and_then(|link| link.call(&call));
        if came.is_err() {
            link = None;
        }
        if let Some(name) = came.as_ref().ok().and_then(name_given) {
            given = name;
        }
        println!("{}", told(came));
        io::stdout().flush()?;
    }
    Ok(())
}

fn open<'a>(link: &'a mut Option<Link>, to: To<'_>) -> io::Result<&'a mut Link> {
    if link.is_none() {
        *link = Some(Link::open(to)?);
    }
    link.as_mut()
        .ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// The name of a dialogue, or of an offer.
fn name_given(received: &Received) -> Option<String> {
    let first = received
        .body
        .first()
        .filter(|_| received.kind == wire::RETURN)?;
    first.as_str().or(first["id"].as_str()).map(str::to_owned)
}

fn told(came: io::Result<Received>) -> Value {
    match came {
        Ok(received) if received.kind == wire::RETURN => json!({ "reply": received.body }),
        Ok(received) => json!({ "error": received.error, "text": received.body.first() }),
        Err(error) => json!({ "gone": error.to_string() }),
    }
}

/// Sends the call and hangs up, after a wait that grows evenly from nothing to two milliseconds.
fn races(to: To<'_>, call: &Call, count: u32) -> io::Result<()> {
    const LONGEST: Duration = Duration::from_millis(2);
    let mut sent = 0;
    for round in 0..count {
        let mut link = Link::open(to)?;
        link.send(call)?;
        sent += 1;
        let wait = LONGEST * round / count;
        let until = Instant::now() + wait;
        // Too short for the scheduler's sleep.
        while Instant::now() < until {
            thread::yield_now();
        }
    }
    println!("{}", json!({ "sent": sent }));
    Ok(())
}

/// How many calls were made, and what became of those that the daemon did not answer.
fn hammer(to: To<'_>, call: &Call, time: Duration, clients: usize, fresh: bool) -> Value {
    let until = Instant::now() + time;
    let (mut calls, mut lost) = (0, Vec::new());
    thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|_| scope.spawn(move || client(to, call, until, fresh)))
            .collect();
        for client in running {
            match client.join() {
                Ok((made, without)) => {
                    calls += made;
                    lost.extend(without);
                }
                Err(_) => lost.push("the client panicked".to_owned()),
            }
        }
    });
    let count = lost.len();
    lost.truncate(5);
    json!({ "calls": calls, "lost": count, "reasons": lost })
}

fn client(to: To<'_>, call: &Call, until: Instant, fresh: bool) -> (u32, Vec<String>) {
    let (mut made, mut lost, mut link) = (0, Vec::new(), None);
    while Instant::now() < until {
        made += 1;
        match open(&mut link, to).and_then(|link| link.call(call)) {
            Ok(received) if received.kind == wire::RETURN => {}
            Ok(received) => lost.push(format!("{}: {:?}", received.error, received.body)),
            Err(error) => {
                lost.push(error.to_string());
                link = None;
            }
        }
        if fresh {
            link = None;
        }
    }
    (made, lost)
}
