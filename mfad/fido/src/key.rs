//! One key: found, opened, locked against other logins, asked what it can. It signs nothing.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
};

use ctap_hid_fido2::{FidoKeyHid, FidoKeyHidFactory, HidParam, LibCfg, get_fidokey_devices};
use mfad_protocol::{fido::Failure, printable};
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::{
    failure::{Trouble, trouble},
    watch::Waiting,
};

/// Most keys that are looked at.
const MOST: usize = 16;

/// A key that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugged {
    pub(crate) path: String,
    /// In printable characters.
    pub(crate) product: String,
}

/// The keys that are plugged in.
pub(crate) fn plugged() -> Vec<Plugged> {
    get_fidokey_devices()
        .into_iter()
        .filter_map(|device| match device.param {
            HidParam::Path(path) => Some(Plugged {
                path,
                product: printable(&device.product_string),
            }),
            HidParam::VidPid { .. } => None,
        })
        .take(MOST)
        .collect()
}

/// An open key.
pub(crate) struct Key {
    pub(crate) fido: FidoKeyHid,
    pub(crate) abilities: Abilities,
    /// Held as long as the key is in use: two logins that talk to one key would read each other's replies.
    lock: Flock<File>,
}

/// What a key says of itself (CTAP 2.1 §6.4).
#[derive(Debug, Default)]
pub(crate) struct Abilities {
    pub(crate) aaguid: Vec<u8>,
    /// A PIN is set.
    pub(crate) pin: bool,
    /// It knows its owner by a sensor of its own, and the owner is enrolled there.
    pub(crate) verifies: bool,
    /// It does nothing without knowing its owner.
    pub(crate) always_verifies: bool,
    /// It can say how well a credential is protected.
    pub(crate) protects: bool,
    pin_protocol: u8,
}

impl Key {
    /// Opens a key for this process alone.
    pub(crate) fn open(plugged: &Plugged) -> Result<Self, Trouble> {
        let node = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_CLOEXEC.bits())
            .open(&plugged.path)
            .map_err(|_| Trouble::Gone)?;
        let lock = Flock::lock(node, FlockArg::LockExclusiveNonblock)
            .map_err(|_| Trouble::Failed(Failure::Busy))?;
        let fido =
            FidoKeyHidFactory::create_by_params(&[HidParam::Path(plugged.path.clone())], &quiet())
                .map_err(|error| trouble(&error.to_string()))?;
        let abilities = abilities(&fido)?;
        let fido = fido.with_pin_protocol_version(abilities.pin_protocol);
        Ok(Self {
            fido,
            abilities,
            lock,
        })
    }

    /// What the watchdog needs to stop it.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        Some(Waiting {
            node: self.lock.try_clone().ok()?,
            channel: self.fido.get_cid().ok()?,
        })
    }

    /// How many wrong PINs it would still take, where it says so.
    pub(crate) fn tries(&self) -> Option<u8> {
        self.fido
            .get_pin_retries()
            .ok()
            .and_then(|tries| u8::try_from(tries).ok())
    }

    /// Adds the number of tries to a failure that wants it.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match failure {
            Failure::PinNeeded { .. } if !self.abilities.pin => Failure::NoVerification,
            Failure::PinNeeded { .. } => Failure::PinNeeded {
                tries: self.tries(),
            },
            Failure::PinWrong { .. } => Failure::PinWrong {
                tries: self.tries(),
            },
            other => other,
        }
    }
}

/// By default the crate tells whoever reads standard output to touch the sensor.
fn quiet() -> LibCfg {
    LibCfg {
        enable_keep_alive_msg: false,
        enable_log: false,
        ..LibCfg::init()
    }
}

fn abilities(fido: &FidoKeyHid) -> Result<Abilities, Trouble> {
    let info = fido
        .get_info()
        .map_err(|error| trouble(&error.to_string()))?;
    let option = |name: &str| {
        info.options
            .iter()
            .find(|(option, _)| option == name)
            .map(|(_, set)| *set)
    };
    Ok(Abilities {
        pin: option("clientPin") == Some(true),
        verifies: option("uv") == Some(true),
        always_verifies: option("alwaysUv") == Some(true),
        protects: info.extensions.iter().any(|name| name == "credProtect"),
        // The first in its list is the one that it prefers (CTAP 2.1 §6.5.5.4).
        pin_protocol: info
            .pin_uv_auth_protocols
            .iter()
            .find_map(|protocol| match protocol {
                1 => Some(1),
                2 => Some(2),
                _ => None,
            })
            .unwrap_or(1),
        aaguid: info.aaguid,
    })
}
