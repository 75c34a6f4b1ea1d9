//! Runs cases, each on a fresh bed and within its time, and says what came of them.

use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    bed::{self, Bed, Kind},
    build::Artifacts,
    cases::{Case, Needs},
    host::Host,
};

/// What a bed or the product is missing, so that cases are skipped or fail.
#[derive(Debug, Clone)]
pub struct Stage {
    /// What to install.
    pub artifacts: Artifacts,
    /// Root file system of the systemd bed.
    pub rootfs: Option<PathBuf>,
    /// The virtual machine to go on from.
    pub vm: Option<bed::vm::Image>,
}

/// One case on one kind of bed.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// What to run.
    pub case: &'static Case,
    /// On what.
    pub kind: Kind,
}

impl Job {
    /// How results name it.
    pub fn name(&self) -> String {
        format!("{}: {}", self.kind.word(), self.case.name)
    }
}

/// How many cases came to what.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Did what they say.
    pub passed: usize,
    /// Did not.
    pub failed: usize,
    /// Were not run; the reason is printed with each.
    pub skipped: usize,
}

/// Runs all jobs, `at_once` at a time, and prints a line for each as it ends.
pub fn run(stage: &Stage, jobs: &[Job], at_once: usize) -> Tally {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    report(job, run_one(stage, *job), &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_default()
}

fn report(
    job: &Job,
    (result, took): (Result<(), (Failure, String)>, Duration),
    tally: &Mutex<Tally>,
) {
    let Ok(mut tally) = tally.lock() else { return };
    let (name, took) = (job.name(), took.as_secs_f32());
    match result {
        Ok(()) => {
            tally.passed += 1;
            println!("PASS {name} ({took:.1} s)");
        }
        Err((failure, history)) => {
            tally.failed += 1;
            let failure = failure.to_string();
            let (first, rest) = failure.split_once('\n').unwrap_or((&failure, ""));
            let mut detail = String::new();
            for line in rest.lines().chain(history.lines()) {
                let _ = writeln!(detail, "    | {}", shown(line));
            }
            println!("FAIL {name}: {first} ({took:.1} s)\n{detail}");
        }
    }
}

type Result3 = Result<(), (Failure, String)>;

fn run_one(stage: &Stage, job: Job) -> (Result3, Duration) {
    let begun = Instant::now();
    let bed = match start(stage, job) {
        Ok(bed) => bed,
        Err(failure) => return (Err((failure, String::new())), begun.elapsed()),
    };
    let init = bed.init();
    let host = Host::new(bed, stage.artifacts.clone());
    let (tell, told) = mpsc::channel();
    let worker = thread::spawn(move || {
        // A panic in a case is that case's failure, not the end of the run.
        let outcome = catch_unwind(AssertUnwindSafe(|| (job.case.run)(&host)))
            .unwrap_or_else(|_| Err(Failure::new("the case panicked")));
        let _ = tell.send(outcome.map_err(|failure| (failure, host.history())));
    });
    let limit = job.case.limit * job.kind.slowness();
    let result = match told.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => {
            Err((Failure::new("the case vanished"), String::new()))
        }
        Err(RecvTimeoutError::Timeout) => {
            // Without its machine, everything that the case waits for ends.
            init.kill();
            let said = told.recv_timeout(Duration::from_secs(90));
            let history = match said {
                Ok(Err((failure, history))) => format!("{failure}\n{history}"),
                _ => String::new(),
            };
            Err((Failure::new(format!("not done after {limit:?}")), history))
        }
    };
    let _ = worker.join();
    (result, begun.elapsed())
}

fn start(stage: &Stage, job: Job) -> Result<Bed, Failure> {
    let tree = match job.case.needs {
        Needs::Product => Some(stage.artifacts.tree.as_path()),
        Needs::BedOnly => None,
    };
    match (job.kind, &stage.rootfs) {
        (Kind::Namespaces, _) => bed::ns::start(tree),
        (Kind::Nspawn, Some(rootfs)) => bed::nspawn::start(rootfs, tree),
        (Kind::Vm, _) => match &stage.vm {
            Some(image) => bed::vm::start(image, &stage.artifacts.vkey, tree),
            None => Err(Failure::new("no virtual machine was made")),
        },
        (Kind::Nspawn, None) => Err(Failure::new("no root file system was made")),
    }
}

/// A line of a screen or a log, with nothing in it that this terminal would obey.
fn shown(line: &str) -> String {
    line.trim_end_matches('\r')
        .chars()
        .map(|letter| {
            if letter.is_control() && letter != '\t' {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}
