//! Where files are. It opens none.

use std::path::{Path, PathBuf};

use mfad_protocol::names;
use nix::unistd::Uid;

use super::files::Purpose;

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that its owner alone may read.
    File(PathBuf),
    /// A credential that systemd handed to this process (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(PathBuf),
}

impl KeySource {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }

    pub(super) const fn purpose(&self) -> Purpose {
        match self {
            Self::File(_) => Purpose::Secret,
            Self::Credential(_) => Purpose::Credential,
        }
    }
}

/// Where the daemon's files are, and who may own them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Directories from here on are checked before a file in them is believed.
    pub root: PathBuf,
    /// `mfad.toml`, `policy.toml`, `policy.d/`.
    pub config_dir: PathBuf,
    /// The store.
    pub state_dir: PathBuf,
    /// The sockets.
    pub run_dir: PathBuf,
    /// Vendor defaults of the policy.
    pub vendor_dir: PathBuf,
    /// The key that seals secrets.
    pub key: KeySource,
    /// Owner of all of it, besides root.
    pub owner: u32,
}

impl Paths {
    /// The paths of an installed system. `credentials` is the value of `CREDENTIALS_DIRECTORY`, which systemd sets if
    /// the unit has credentials.
    pub fn system(credentials: Option<PathBuf>) -> Self {
        let mut paths = Self::below(Path::new("/"), 0);
        if let Some(directory) = credentials {
            paths.key = KeySource::Credential(directory.join(names::KEY_FILE));
        }
        paths
    }

    /// The same layout in a directory of one's own (tests, a trial run), owned by whoever runs this.
    pub fn under(root: &Path) -> Self {
        Self::below(root, Uid::effective().as_raw())
    }

    fn below(root: &Path, owner: u32) -> Self {
        let below = |absolute: &str| root.join(absolute.trim_start_matches('/'));
        Self {
            root: root.to_path_buf(),
            config_dir: below(names::CONFIG_DIR),
            state_dir: below(names::STATE_DIR),
            run_dir: below(names::RUN_DIR),
            vendor_dir: below(names::VENDOR_DIR),
            key: KeySource::File(below(names::CONFIG_DIR).join(names::KEY_FILE)),
            owner,
        }
    }
}
