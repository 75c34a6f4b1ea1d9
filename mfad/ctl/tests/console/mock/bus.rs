//! A bus of the tests' own. It knows nothing of mfad.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A bus of the test's own. Its socket says that it is a mock.
pub(crate) struct MockBus {
    directory: TempDir,
    process: Child,
}

impl MockBus {
    pub(crate) fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("mock-mfad-bus-")
            .tempdir()
            .unwrap();
        let socket = directory.path().join("mock-bus");
        let configuration = directory.path().join("mock-bus.conf");
        std::fs::write(
            &configuration,
            format!(
                "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
                 <policy context='default'><allow user='*'/><allow own='*'/>\
                 <allow send_type='*'/><allow receive_type='*'/></policy></busconfig>",
                socket.display()
            ),
        )
        .unwrap();
        open_to_all(directory.path());
        let process = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&configuration)
            .args(["--nofork", "--nopidfile", "--nosyslog"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is needed (package dbus)");
        let deadline = Instant::now() + Duration::from_secs(10);
        // There is a moment when it is bound and nobody listens yet.
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "the mock bus does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { directory, process }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("mock-bus")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl Drop for MockBus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
