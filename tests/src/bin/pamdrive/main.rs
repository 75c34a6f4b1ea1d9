//! A PAM host for tests: runs transactions in this process or in children, and answers by a list. It prints a line of
//! JSON for each, and a last one about the process before and after (not with `--at-once`). It judges nothing.

mod pam;
mod state;

use std::{
    env,
    ffi::CString,
    fs,
    io::{Read, Write, pipe},
    process::ExitCode,
    time::Instant,
};

use nix::{
    sys::wait::waitpid,
    time::{ClockId, clock_gettime},
    unistd::{ForkResult, fork},
};
use pam::{Item, Phase, Transaction};
use serde_json::{Value, json};

const USAGE: &str = "\
usage: pamdrive --service S --user U [options]
  --users FILE      a line a transaction, its user
  --phases LIST     of auth, account, setcred, open, close, password (default: auth,account)
  --answer TEXT     an answer to a prompt; once for each prompt
  --answers FILE    a line a transaction, its answers parted by tabs; the last line serves those that remain
  --repeat N        so many transactions, one after the other
  --fork            each in a child of its own
  --at-once N       in N children, all at the same moment
  --warm N          so many transactions before the first look at the process (default: 1)
  --rhost H  --tty T  --ruser U  --pam-env NAME=VALUE
";

#[derive(Default)]
struct Options {
    service: CString,
    user: CString,
    users: Vec<CString>,
    phases: Vec<Phase>,
    answers: Vec<Vec<CString>>,
    repeat: usize,
    warm: usize,
    fork: bool,
    at_once: usize,
    items: Vec<(Item, CString)>,
    variables: Vec<CString>,
}

fn main() -> ExitCode {
    let Some(options) = options(env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    if options.at_once > 0 {
        for report in at_once(&options) {
            println!("{report}");
        }
    } else {
        println!("{}", in_turn(&options));
    }
    ExitCode::SUCCESS
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        phases: vec![Phase::Auth, Phase::Account],
        repeat: 1,
        warm: 1,
        ..Options::default()
    };
    let mut single = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--fork" {
            options.fork = true;
            continue;
        }
        let value = arguments.next()?;
        let text = CString::new(value.clone()).ok()?;
        match argument.as_str() {
            "--service" => options.service = text,
            "--user" => options.user = text,
            "--users" => options.users = read_users(&value)?,
            "--phases" => {
                options.phases = value
                    .split(',')
                    .map(Phase::from_word)
                    .collect::<Option<_>>()?;
            }
            "--answer" => single.push(text),
            "--answers" => options.answers = read_answers(&value)?,
            "--repeat" => options.repeat = value.parse().ok()?,
            "--warm" => options.warm = value.parse().ok()?,
            "--at-once" => options.at_once = value.parse().ok()?,
            "--rhost" => options.items.push((Item::Rhost, text)),
            "--tty" => options.items.push((Item::Tty, text)),
            "--ruser" => options.items.push((Item::Ruser, text)),
            "--pam-env" => options.variables.push(text),
            _ => return None,
        }
    }
    if options.answers.is_empty() {
        options.answers.push(single);
    }
    Some(options)
}

fn read_users(path: &str) -> Option<Vec<CString>> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().map(|line| CString::new(line).ok()).collect()
}

fn read_answers(path: &str) -> Option<Vec<Vec<CString>>> {
    fs::read_to_string(path)
        .ok()?
        .lines()
        .map(|line| {
            line.split('\t')
                .map(|answer| CString::new(answer).ok())
                .collect()
        })
        .collect()
}

/// One transaction, its answers those of the `turn`th line.
fn transact(options: &Options, turn: usize) -> Value {
    let answers = options
        .answers
        .get(turn)
        .or(options.answers.last())
        .cloned()
        .unwrap_or_default();
    let user = options.users.get(turn).unwrap_or(&options.user);
    let begun = Instant::now();
    let mut transaction = match Transaction::start(&options.service, user, answers) {
        Ok(transaction) => transaction,
        Err(code) => return json!({ "start": code }),
    };
    for (item, value) in &options.items {
        transaction.set(*item, value);
    }
    for pair in &options.variables {
        transaction.put(pair);
    }
    let mut report = serde_json::Map::new();
    for phase in &options.phases {
        let code = transaction.run(*phase);
        report.insert(phase.word().to_owned(), code.into());
        if code != pam::SUCCESS {
            break;
        }
    }
    report.insert("shown".to_owned(), transaction.shown().into());
    drop(transaction);
    report.insert("micros".to_owned(), json!(begun.elapsed().as_micros()));
    // The clock of the whole machine, so that others can tell how long ago it was.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
    report.insert(
        "ended".to_owned(),
        json!(now.map_or(0, |now| now.as_micros())),
    );
    report.into()
}

/// Prints each transaction as it ends: a growing list of them would look like memory that the module leaks.
fn in_turn(options: &Options) -> Value {
    let run = |turn| {
        let report = if options.fork {
            in_child(options, turn)
        } else {
            transact(options, turn)
        };
        println!("{report}");
    };
    let warm = options.warm.min(options.repeat);
    (0..warm).for_each(run);
    let (before, memory) = (state::look(), state::resident());
    (warm..options.repeat).for_each(run);
    let after = state::resident();
    json!({ "before": before, "after": state::look(), "memory-before": memory, "memory-after": after })
}

/// One transaction in a child, with a look at the child before and after it.
fn in_child(options: &Options, turn: usize) -> Value {
    let Ok((mut results, mut writer)) = pipe() else {
        return json!({ "fork": "no pipe" });
    };
    // SAFETY: this process has one thread (the tests check that it stays so), so the child may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            drop(results);
            let before = state::look();
            let mut report = transact(options, turn);
            report["before"] = before;
            report["after"] = state::look();
            let _ = writer.write_all(report.to_string().as_bytes());
            std::process::exit(0);
        }
        Ok(ForkResult::Parent { child }) => {
            drop(writer);
            let mut text = String::new();
            let _ = results.read_to_string(&mut text);
            let _ = waitpid(child, None);
            serde_json::from_str(&text).unwrap_or_else(|_| json!({ "fork": "the child died" }))
        }
        Err(error) => json!({ "fork": error.desc() }),
    }
}

/// The same transaction in many children, which begin together when the gate opens.
fn at_once(options: &Options) -> Vec<Value> {
    let Ok((gate, opener)) = pipe() else {
        return Vec::new();
    };
    let mut running = Vec::new();
    for turn in 0..options.at_once {
        let (Ok((results, mut writer)), Ok(mut gate)) = (pipe(), gate.try_clone()) else {
            break;
        };
        // SAFETY: as above.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(running);
                drop(opener);
                // End of file comes when the parent lets go of the other end.
                let _ = gate.read(&mut [0]);
                let report = transact(options, turn);
                let _ = writer.write_all(report.to_string().as_bytes());
                std::process::exit(0);
            }
            Ok(ForkResult::Parent { child }) => running.push((child, results)),
            Err(_) => break,
        }
    }
    drop((gate, opener));
    running
        .into_iter()
        .map(|(child, mut results)| {
            let mut text = String::new();
            let _ = results.read_to_string(&mut text);
            let _ = waitpid(child, None);
            serde_json::from_str(&text).unwrap_or_else(|_| json!({ "fork": "the child died" }))
        })
        .collect()
}
