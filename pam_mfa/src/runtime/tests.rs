//! The executor: deadlines, tasks, descriptors, and nothing left.

use super::*;
use std::sync::atomic::AtomicBool;
use std::{
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};
use traits::Runtime as _;

fn soon() -> Patience {
    Patience::of(Duration::from_secs(5))
}

#[test]
fn a_future_that_never_ends_is_left_at_the_deadline() {
    let start = Instant::now();
    let result = Runtime::new().block_on(
        &mut Patience::of(Duration::from_millis(30)),
        std::future::pending::<()>(),
    );
    assert_eq!(result, Err(Elapsed));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(30) && took < Duration::from_secs(2));
}

#[test]
fn a_task_that_is_always_ready_does_not_outrun_the_deadline() {
    let runtime = Runtime::new();
    let _busy = runtime.spawn("busy", async {
        loop {
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut yielded, true) {
                    Poll::Ready(())
                } else {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
        }
    });
    let start = Instant::now();
    let result = runtime.block_on(
        &mut Patience::of(Duration::from_millis(20)),
        std::future::pending::<()>(),
    );
    assert_eq!(result, Err(Elapsed));
    assert!(start.elapsed() < Duration::from_secs(2));
    runtime.shut_down();
}

#[test]
fn a_task_hands_its_output_back_and_a_cancelled_one_never_runs() {
    let runtime = Runtime::new();
    let answer = runtime.spawn("answer", async { 42 });
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    drop(runtime.spawn(
        "dropped",
        async move { flag.store(true, Ordering::Release) },
    ));
    assert_eq!(runtime.block_on(&mut soon(), answer).unwrap().unwrap(), 42);
    assert!(!ran.load(Ordering::Acquire));
}

#[test]
fn a_descriptor_that_becomes_readable_wakes_its_reader() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let runtime = Runtime::new();
    let io = runtime.register(IoSource::from(OwnedFd::from(ours.try_clone().unwrap())));
    let writer = runtime.sleep(Duration::from_millis(10));
    let task = runtime.spawn("writer", async move {
        writer.await;
        theirs.write_all(b"!").unwrap();
    });
    let mut byte = [0];
    let mut read = || (&ours).read(&mut byte);
    let reading =
        std::future::poll_fn(|cx| traits::PollIo::poll_io(&io, cx, Interest::Readable, &mut read));
    runtime.block_on(&mut soon(), reading).unwrap().unwrap();
    assert_eq!(&byte, b"!");
    drop(task);
}

#[test]
fn shutting_down_drops_what_detached_tasks_hold() {
    let runtime = Runtime::new();
    let held = Arc::new(());
    let inside = held.clone();
    traits::TaskHandle::detach(runtime.spawn("detached", async move {
        std::future::pending::<()>().await;
        drop(inside);
    }));
    assert_eq!(
        runtime.block_on(
            &mut Patience::of(Duration::ZERO),
            std::future::pending::<()>()
        ),
        Err(Elapsed)
    );
    assert_eq!(Arc::strong_count(&held), 2);
    runtime.shut_down();
    assert_eq!(Arc::strong_count(&held), 1);
}
