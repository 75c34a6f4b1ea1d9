//! Keeps the last configuration without an error, for a start that finds a broken one: a daemon that exits when it is
//! idle must not forget, with the next login, what was in force. It judges nothing: what it keeps was read before, and is
//! read again by the same rules.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use nix::unistd::Uid;

use super::{Loaded, MAX_FILE, MAX_POLICY, Paths, Purpose, Texts, Trust};

/// In the directory of the state, which is the daemon's alone.
const NAME: &str = "last-good.json";
/// Largest file that is read: in JSON a character of the texts takes two at most, but for the few that TOML has in
/// comments only.
const MAX_KEPT: usize = 2 * (MAX_POLICY + MAX_FILE) + 64 * 1024;

/// Where it is kept.
pub struct LastGood<'a> {
    paths: &'a Paths,
    file: PathBuf,
}

impl<'a> LastGood<'a> {
    /// The one of these paths.
    pub fn of(paths: &'a Paths) -> Self {
        Self {
            paths,
            file: paths.state_dir.join(NAME),
        }
    }

    /// Keeps what is in force now, durably. Writes nothing if that is kept already.
    ///
    /// # Errors
    /// The file cannot be written; the one before is whole then.
    pub fn keep(&self, texts: &Texts) -> io::Result<()> {
        let json = serde_json::to_vec(texts)?;
        if self.read().is_some_and(|kept| kept == json) {
            return Ok(());
        }
        let new = self.file.with_extension("new");
        // Left by a daemon that was killed here, and nobody else's: the directory is ours.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)?;
        File::open(&self.paths.state_dir)?.sync_all()
    }

    /// What was kept, if it is there and this version still understands it.
    pub fn load(&self) -> Option<Loaded> {
        let texts: Texts = serde_json::from_slice(&self.read()?).ok()?;
        texts.understand(self.paths, Vec::new()).ok()
    }

    fn read(&self) -> Option<Vec<u8>> {
        let trust = Trust {
            root: &self.paths.root,
            owner: Uid::effective().as_raw(),
        };
        let bytes = trust.read(&self.file, Purpose::Secret, MAX_KEPT).ok()?;
        Some(bytes.to_vec())
    }
}
