//! The caller's SSH agent, and the files that name one of their keys. It hands the connection on, and speaks no word with it.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use mfad_protocol::{AgentTrouble, limits};
use nix::unistd::getuid;

use crate::failure::Failure;

/// Where the caller's agent is.
const SOCKET: &str = "SSH_AUTH_SOCK";
/// A file with what sshd has verified (`ExposeAuthInfo` in `sshd_config(5)`).
const VERIFIED: &str = "SSH_USER_AUTH";

/// Whether there may be an agent. The daemon asks nobody's whom it knows as root.
pub fn is_named() -> bool {
    !getuid().is_root() && socket().is_some()
}

fn socket() -> Option<PathBuf> {
    env::var_os(SOCKET)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// A connection to the agent.
pub fn connect() -> Result<OwnedFd, AgentTrouble> {
    let path = socket().ok_or(AgentTrouble::Unset)?;
    match UnixStream::connect(path) {
        Ok(stream) => Ok(stream.into()),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AgentTrouble::Stale,
            io::ErrorKind::PermissionDenied => AgentTrouble::Denied,
            _ => AgentTrouble::Failed,
        }),
    }
}

/// The same, or a sentence for the caller.
pub fn connect_or_say() -> Result<OwnedFd, Failure> {
    connect().map_err(|trouble| {
        Failure::Stopped(
            match trouble {
                AgentTrouble::Unset => {
                    "There is no SSH agent: SSH_AUTH_SOCK is not set. Over ssh, forward yours with `ssh -A`."
                }
                AgentTrouble::Stale => {
                    "The SSH agent that SSH_AUTH_SOCK names is gone. In tmux or screen, open a new window."
                }
                AgentTrouble::Denied | AgentTrouble::Foreign | AgentTrouble::Failed => {
                    "The SSH agent that SSH_AUTH_SOCK names cannot be reached; see whether `ssh-add -l` reaches it."
                }
            }
            .to_owned(),
        )
    })
}

/// The public key in a `.pub` file.
pub fn key_in(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    line.map(str::to_owned)
        .ok_or_else(|| Failure::Usage(format!("{} holds no public key.", path.display())))
}

/// The key that this ssh session was opened with; one of a security key if `sk`.
pub fn key_of_session(sk: bool) -> Result<String, Failure> {
    let path = env::var_os(VERIFIED).map(PathBuf::from).ok_or_else(|| {
        Failure::Stopped(
            "sshd does not say which key opened this session: SSH_USER_AUTH is not set. It is where sshd_config has \
             `ExposeAuthInfo yes`; otherwise name the key with --file."
                .to_owned(),
        )
    })?;
    let text = read(&path)?;
    let mut keys = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("publickey "));
    keys.find(|key| key.starts_with("sk-") == sk)
        .map(str::to_owned)
        .ok_or_else(|| {
            Failure::Stopped("This session was not opened with a key of that kind.".to_owned())
        })
}

fn read(path: &Path) -> Result<String, Failure> {
    let most = limits::SSH_AUTH_INFO as u64;
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .map_err(|error| Failure::Usage(format!("{}: {error}.", path.display())))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_is_one_is_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pub");
        std::fs::write(
            &path,
            "\n# mine\n  sk-ssh-ed25519@openssh.com AAAA me\nother\n",
        )
        .unwrap();
        assert_eq!(key_in(&path).unwrap(), "sk-ssh-ed25519@openssh.com AAAA me");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(key_in(&path).unwrap_err().exit_code(), 2);
        let none = directory.path().join("none");
        assert_eq!(key_in(&none).unwrap_err().exit_code(), 2);
    }
}
