//! A hidapi whose devices are Unix sockets, where the program's own finds nodes of the kernel; how one talks to a device is
//! the program's own code. A device is a file in the directory that `FIDO_SHIM_KEYS` names (what a login locks, and writes
//! its last word into), and beside it a socket with `.sock` behind the name, where reports go in and out. As on the real
//! hidraw, every reader gets every report.

#[path = "../../../../mfad/hid/src/device.rs"]
mod device;

use std::{
    env,
    ffi::{CStr, CString},
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
};

pub use device::{HidDevice, HidError};

/// The usage page of FIDO devices.
const FIDO: u16 = 0xf1d0;
const FIDO_USAGE: u16 = 1;

/// The devices.
#[derive(Debug)]
pub struct HidApi {
    devices: Vec<DeviceInfo>,
}

impl HidApi {
    /// Looks which there are.
    pub fn new() -> Result<Self, HidError> {
        let directory = env::var_os("FIDO_SHIM_KEYS")
            .map(PathBuf::from)
            .unwrap_or_default();
        let mut devices = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none() && socket_of(&path).exists() {
                devices.push(DeviceInfo {
                    product: path
                        .file_name()
                        .map(|name| name.to_string_lossy().into_owned()),
                    path: CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)?,
                });
            }
        }
        devices.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { devices })
    }

    /// Those that were there.
    pub fn device_list(&self) -> impl Iterator<Item = &DeviceInfo> {
        self.devices.iter()
    }

    /// Opens one.
    pub fn open_path(&self, path: &CStr) -> Result<HidDevice, HidError> {
        let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
        let socket = UnixStream::connect(socket_of(path))?;
        Ok(HidDevice::over(File::from(OwnedFd::from(socket))))
    }
}

fn socket_of(path: &Path) -> PathBuf {
    path.with_extension("sock")
}

/// A device.
#[derive(Debug)]
pub struct DeviceInfo {
    path: CString,
    product: Option<String>,
}

impl DeviceInfo {
    /// Where it is.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Always the same.
    pub fn vendor_id(&self) -> u16 {
        0x1d50
    }

    /// Always the same.
    pub fn product_id(&self) -> u16 {
        1
    }

    /// What it calls itself: its file's name.
    pub fn product_string(&self) -> Option<&str> {
        self.product.as_deref()
    }

    /// It has none.
    pub fn serial_number(&self) -> Option<&str> {
        None
    }

    /// FIDO.
    pub fn usage_page(&self) -> u16 {
        FIDO
    }

    /// FIDO.
    pub fn usage(&self) -> u16 {
        FIDO_USAGE
    }
}
