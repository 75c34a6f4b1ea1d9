//! A heap that looks at every block that is given back to it, for what should have been wiped. A test binary makes it its
//! `#[global_allocator]`; reallocation goes the same way, so that what a growing buffer leaves behind is seen too.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// What a person types in such a test: of the form of a backup code, and long enough for a PIN.
pub(crate) const TYPED: &str = "QWERTYUIOPAS2345";
/// The same in hexadecimal.
const HEXADECIMAL: &[u8] = b"51574552545955494f50415332333435";

static ALONE: Mutex<()> = Mutex::new(());
static WATCHED: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// The heap.
pub(crate) struct Heap;

// SAFETY: all of it is the system's, and what is looked at is ours until it is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed: no byte is looked at that was never written, nor found twice.
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WATCHED.load(Ordering::Relaxed) {
            // SAFETY: a block of that length, which was zeroed when it was given out.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
            if holds(TYPED.as_bytes()) || holds(HEXADECIMAL) {
                FOUND.fetch_add(1, Ordering::Relaxed);
            }
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How many blocks come back with [`TYPED`] in them while that is done. Other threads' blocks count.
pub(crate) fn left_by<T>(done: impl FnOnce() -> T) -> (usize, T) {
    let _alone: MutexGuard<'_, ()> = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    FOUND.store(0, Ordering::Relaxed);
    WATCHED.store(true, Ordering::Relaxed);
    let result = done();
    WATCHED.store(false, Ordering::Relaxed);
    (FOUND.load(Ordering::Relaxed), result)
}
