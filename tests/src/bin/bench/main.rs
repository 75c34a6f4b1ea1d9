//! Measures whole PAM transactions beside other modules, and the daemon by itself, on one machine in one run. It prints
//! figures, ratios and what was aimed at, and judges nothing.

mod cold;
mod load;
mod people;
mod place;
mod stacks;
mod table;
mod weight;

use std::{env, process::ExitCode};

use mfa_tests::{Failure, bed::ns, build, host::Host};

use place::Place;
use table::{Aim, Row, Table};

const USAGE: &str = "\
usage: bench [--json] [--people N,N,...] [--only PART]
  --json      a JSON document on standard output, and nothing else
  --people    how many are enrolled, in turns (default: 100,10000,1000000)
  --only      one of: stacks, weight, people, load, cold (default: all)
";

/// What to measure.
struct Options {
    json: bool,
    people: Vec<u32>,
    only: Option<String>,
}

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut table = Table::new(!options.json);
    match measure(&options, &mut table) {
        Ok(()) => {
            table.finish();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Option<Options> {
    let mut options = Options {
        json: false,
        people: vec![100, 10_000, 1_000_000],
        only: None,
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = true,
            "--people" => {
                let numbers = arguments.next()?;
                options.people = numbers
                    .split(',')
                    .map(|number| number.parse().ok())
                    .collect::<Option<_>>()?;
            }
            "--only" => options.only = Some(arguments.next()?),
            _ => return None,
        }
    }
    Some(options)
}

fn measure(options: &Options, table: &mut Table) -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new("the sandbox needs root: sudo make bench"));
    }
    let artifacts = build::artifacts()?;
    let helpers = place::helpers()?;
    // Before the sandbox, which hides most of this machine behind memory.
    let place = Place::on_a_disk()?;
    let host = Host::new(ns::start(Some(&artifacts.tree))?, artifacts.clone());
    place.prepare(&host, &helpers)?;
    if options.wants("stacks") {
        stacks::measure(&host, &place, table)?;
    }
    if options.wants("weight") {
        let size = place::module_size(&artifacts.tree)?;
        table.add(Row::figure("module: bytes", size).aim(Aim::AtMost(1_048_576)));
        weight::measure(&host, &place, table)?;
    }
    if options.wants("people") {
        people::measure(&host, &place, &options.people, table)?;
    }
    if options.wants("load") {
        load::measure(&host, &place, table)?;
    }
    if options.wants("cold") {
        cold::without_systemd(&host, &place, table)?;
    }
    drop(host);
    place.empty()?;
    if options.wants("cold") {
        cold::with_systemd(&artifacts, &helpers, table)?;
    }
    Ok(())
}
