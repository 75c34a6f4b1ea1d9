//! The security keys of this machine, by the kernel's hidraw and sysfs: as much of hidapi as `ctap-hid-fido2` uses, in its
//! place. It finds and opens nothing but security keys, and understands nothing of what they are asked.
//!
//! The real one brings C, libudev and ioctls, and its callers sleep a tenth of a second whenever a key says that it waits
//! for a touch. This one waits in poll(2), and keeps those words to itself.

#![forbid(unsafe_code)]

mod descriptor;
mod device;
mod found;

use std::{ffi::CStr, ffi::OsStr, fs::OpenOptions, os::unix::ffi::OsStrExt as _, path::Path};

pub use device::{HidDevice, HidError};
pub use found::DeviceInfo;

/// The keys that are plugged in.
#[derive(Debug)]
pub struct HidApi {
    found: Vec<DeviceInfo>,
}

impl HidApi {
    /// Looks which there are. It never fails: what cannot be looked at is not there.
    pub fn new() -> Result<Self, HidError> {
        Ok(Self {
            found: found::below(Path::new("/sys/class/hidraw")),
        })
    }

    /// Those that were there.
    pub fn device_list(&self) -> impl Iterator<Item = &DeviceInfo> {
        self.found.iter()
    }

    /// Opens one.
    pub fn open_path(&self, path: &CStr) -> Result<HidDevice, HidError> {
        let path = OsStr::from_bytes(path.to_bytes());
        let node = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(HidDevice::over(node))
    }
}
