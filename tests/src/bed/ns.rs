//! The bed without systemd: the demo's own sandbox, so that what the demo shows is what is tested.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::{Bed, Init, Kind, Way, await_start, children};
use crate::{Failure, build};

/// Starts one with the product from `tree` installed, or without it.
pub fn start(tree: Option<&Path>) -> Result<Bed, Failure> {
    let mut sandbox = Command::new(build::repository()?.join("packaging/demo/sandbox"));
    sandbox.arg("run");
    if let Some(tree) = tree {
        sandbox.arg("--install").arg(tree);
    }
    // It lives as long as its standard input: should this process die, however it dies, so does the sandbox.
    let mut keeper = sandbox
        .args(["--", "sh", "-c", "echo ready; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = keeper.stdout.take();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = output
            .into_iter()
            .flat_map(|output| BufReader::new(output).lines());
        if lines.map_while(Result::ok).any(|line| line == "ready") {
            let _ = tell.send(());
        }
    });
    let mut ready = false;
    let init = await_start(&mut keeper, Duration::from_secs(30), |keeper| {
        ready = ready || told.try_recv().is_ok();
        ready
            .then(|| children(keeper).first().copied().and_then(Init::of))
            .flatten()
    })?;
    Ok(Bed {
        kind: Kind::Namespaces,
        keeper,
        init,
        left: Vec::new(),
        way: Way::Namespaces,
    })
}
