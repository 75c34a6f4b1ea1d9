//! Owns the module's own log lines. It must never write an answer, a grant, raw text from outside, or to the host's
//! standard streams.
//!
//! Lines go to `/dev/log` in a datagram of our own. `syslog(3)` would leave its descriptor open in the host, block
//! while the log's reader is stuck, and `closelog(3)` would throw away the host's identity.

use std::{fmt, os::unix::net::UnixDatagram};

use mfad_protocol::printable;

const SOCKET: &str = "/dev/log";
/// `LOG_AUTHPRIV` of RFC 3164's numbering.
const AUTHPRIV: u8 = 10;
/// Longest line, in bytes; what is longer is cut.
const MAX_LINE: usize = 1024;

/// Urgency, as in `syslog(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Alert = 1,
    Error = 3,
    Warning = 4,
    Debug = 7,
}

/// Where lines of one call go: which service and hook, and whether `debug` was asked for.
#[derive(Debug)]
pub(crate) struct Log {
    prefix: String,
    debug: bool,
}

impl Log {
    pub(crate) fn new(service: &str, hook: &str) -> Self {
        Self {
            prefix: format!("({}:{hook})", printable(service)),
            debug: false,
        }
    }

    pub(crate) const fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    pub(crate) fn alert(&self, text: fmt::Arguments<'_>) {
        self.write(Level::Alert, text);
    }

    pub(crate) fn error(&self, text: fmt::Arguments<'_>) {
        self.write(Level::Error, text);
    }

    pub(crate) fn warning(&self, text: fmt::Arguments<'_>) {
        self.write(Level::Warning, text);
    }

    pub(crate) fn debug(&self, text: fmt::Arguments<'_>) {
        if self.debug {
            self.write(Level::Debug, text);
        }
    }

    fn write(&self, level: Level, text: fmt::Arguments<'_>) {
        write_line(level, &format!("{} {text}", self.prefix));
    }
}

/// Sends one line. A log that cannot be reached changes no decision, so every error ends here.
pub(crate) fn write_line(level: Level, text: &str) {
    let line = line(level, std::process::id(), text);
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.connect(SOCKET).is_ok()
        && socket.set_nonblocking(true).is_ok()
    {
        let _ = socket.send(line.as_bytes());
    }
}

/// The datagram: priority, tag and text; the reader of the log adds the time.
fn line(level: Level, pid: u32, text: &str) -> String {
    let priority = AUTHPRIV * 8 + level as u8;
    let mut line = format!("<{priority}>pam_mfa[{pid}]: ");
    // Each foreign part has been made printable already; this makes sure that no path can forge a line.
    line.extend(
        text.chars()
            .map(|c| if c.is_control() { '\u{FFFD}' } else { c }),
    );
    line.truncate(line.floor_char_boundary(MAX_LINE));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_facility_level_and_process() {
        assert_eq!(
            line(Level::Alert, 7, "(login:auth) x"),
            "<81>pam_mfa[7]: (login:auth) x"
        );
    }

    #[test]
    fn a_line_cannot_be_forged_and_is_bounded() {
        let text = format!("a\n<81>root: all fine\0\u{1b}[2J{}", "é".repeat(2000));
        let line = line(Level::Error, 1, &text);
        assert!(line.len() <= MAX_LINE);
        assert!(!line.contains(|c: char| c.is_control()));
    }

    #[test]
    fn a_hostile_service_name_is_made_printable() {
        let log = Log::new("sshd\nroot", "auth");
        assert_eq!(log.prefix, "(sshd\u{FFFD}root:auth)");
    }
}
