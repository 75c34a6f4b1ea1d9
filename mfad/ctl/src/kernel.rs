//! The questions to the kernel for which `nix` has no safe call. The only unsafe code of the console.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Columns and rows of the terminal behind `fd`, if it is one and knows them.
pub(crate) fn window_size(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open while it is borrowed, and TIOCGWINSZ writes one winsize, which `size` is.
    let status = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (status == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Whether the kernel's clock is disciplined by a time source (`adjtimex(2)`, without `STA_UNSYNC`); `None` where the
/// kernel does not say, as in some containers.
pub(crate) fn clock_is_synchronised() -> Option<bool> {
    // SAFETY: all-zero is a valid timex (integers only), and with `modes` zero the call only reads the clock's state.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut timex);
        (state, timex)
    };
    (state >= 0).then_some(timex.status & libc::STA_UNSYNC == 0)
}

/// A descriptor of this process (`pidfd_open(2)`), by which another one asks logind where it runs.
pub(crate) fn own_process() -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
