//! Arguments in, exit code out. Ends tidily at Ctrl-C: input shows again, and nothing stays on offer at the daemon.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mfactl::cli::Cli;
use mfactl::client::Client;
use mfactl::command::{Console, quoted};
use mfactl::failure::{DONE, Failure, REFUSED};
use mfactl::terminal::{Terminal, Tone};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => ExitCode::from(runtime.block_on(run(cli))),
        Err(error) => {
            eprintln!("mfactl: cannot start: {error}");
            ExitCode::from(REFUSED)
        }
    }
}

async fn run(cli: Cli) -> u8 {
    let json = cli.json;
    let client = Client::new(cli.bus_socket.clone());
    let mut terminal = Terminal::standard();
    let outcome = {
        let mut console = Console {
            client: &client,
            agent: None,
            terminal: &mut terminal,
            zone: TimeZone::system(),
            now: Timestamp::now(),
            json,
            yes: cli.yes,
            root: cli.root.clone(),
            arguments: quoted(
                std::env::args_os()
                    .skip(1)
                    .map(|argument| argument.to_string_lossy().into_owned()),
            ),
        };
        // At a signal the command's future is dropped, and with it what hides the input.
        tokio::select! {
            outcome = console.run(cli) => outcome,
            () = signalled() => Err(Failure::Interrupted { offered: false }),
        }
    };
    match outcome {
        Ok(()) => DONE,
        Err(Failure::Interrupted { .. }) => {
            let offered = client.abandon().await;
            say(&mut terminal, json, &Failure::Interrupted { offered })
        }
        Err(failure) => say(&mut terminal, json, &failure),
    }
}

/// Completes when the process is told to end.
async fn signalled() {
    let ends = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(ends[0]), signal(ends[1]), signal(ends[2]))
    else {
        // Without handlers the signals keep their default: the process ends at once.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Tells of a failure and returns its exit code.
fn say(terminal: &mut Terminal, json: bool, failure: &Failure) -> u8 {
    // An error while telling of an error has nobody left to be told to.
    let _ = if failure.is_silent() {
        Ok(())
    } else if json {
        terminal.line(&failure.json().to_string())
    } else {
        let head = terminal.tint_beside(Tone::Bad, "mfactl:");
        let next = failure.next().map(|next| format!("\n{next}"));
        terminal.remark(&format!("{head} {failure}{}", next.unwrap_or_default()))
    };
    failure.exit_code()
}
