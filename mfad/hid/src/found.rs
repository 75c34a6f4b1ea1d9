//! Finds security keys in sysfs. Opens no device.

use std::{
    ffi::{CStr, CString},
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use crate::descriptor::is_security_key;

/// Most nodes that are looked at.
const MOST: usize = 256;
/// The longest report descriptor (`HID_MAX_DESCRIPTOR_SIZE` of the kernel).
const DESCRIPTOR: u64 = 4096;
/// Longest text of what the kernel says of a device.
const UEVENT: u64 = 4096;

const FIDO: u16 = 0xf1d0;
const AUTHENTICATOR: u16 = 1;

/// A key that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    path: CString,
    vendor: u16,
    product: u16,
    name: Option<String>,
}

impl DeviceInfo {
    /// Its node.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Whose product it says it is.
    pub fn vendor_id(&self) -> u16 {
        self.vendor
    }

    /// Which of them.
    pub fn product_id(&self) -> u16 {
        self.product
    }

    /// What it calls itself, as it says it: maker and product.
    pub fn product_string(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Nobody needs to know.
    pub fn serial_number(&self) -> Option<&str> {
        None
    }

    /// That of FIDO: others are not found.
    pub fn usage_page(&self) -> u16 {
        FIDO
    }

    /// That of an authenticator.
    pub fn usage(&self) -> u16 {
        AUTHENTICATOR
    }
}

/// The keys in this directory, which is that of the class hidraw.
pub(crate) fn below(class: &Path) -> Vec<DeviceInfo> {
    let Ok(entries) = fs::read_dir(class) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .take(MOST)
        .filter_map(|entry| look(&entry.ok()?.path()))
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn look(entry: &Path) -> Option<DeviceInfo> {
    let name = entry.file_name()?.to_str()?;
    let number = name.strip_prefix("hidraw")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let device = entry.join("device");
    if !is_security_key(&read(&device.join("report_descriptor"), DESCRIPTOR)?) {
        return None;
    }
    let said = read(&device.join("uevent"), UEVENT).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = |key: &str| said.lines().find_map(|line| line.strip_prefix(key));
    let (vendor, product) = said("HID_ID=").and_then(numbers).unwrap_or_default();
    Some(DeviceInfo {
        path: CString::new(format!("/dev/{name}")).ok()?,
        vendor,
        product,
        name: said("HID_NAME=").map(str::to_owned),
    })
}

/// Vendor and product in `0003:00001050:00000407`.
fn numbers(id: &str) -> Option<(u16, u16)> {
    let mut numbers = id.split(':').skip(1).map(|number| {
        let number = u32::from_str_radix(number, 16).ok()?;
        u16::try_from(number).ok()
    });
    Some((numbers.next()??, numbers.next()??))
}

fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const KEY: &[u8] = &[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0xc0];

    /// A directory like that of the class, which goes with it.
    struct Class(PathBuf);

    impl Class {
        fn new(name: &str) -> Self {
            let name = format!("mfad-hid-{name}-{}", std::process::id());
            let class = Self(std::env::temp_dir().join(name));
            fs::create_dir(&class.0).expect("a directory");
            class
        }

        fn put(&self, node: &str, descriptor: &[u8], uevent: Option<&str>) {
            let device = self.0.join(node).join("device");
            fs::create_dir_all(&device).expect("a directory");
            fs::write(device.join("report_descriptor"), descriptor).expect("a file");
            if let Some(uevent) = uevent {
                fs::write(device.join("uevent"), uevent).expect("a file");
            }
        }
    }

    impl Drop for Class {
        fn drop(&mut self) {
            let _left = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn security_keys_are_found_by_their_descriptor_and_nothing_else_is() {
        let class = Class::new("found");
        let uevent = "DRIVER=hid-generic\nHID_ID=0003:00001050:00000407\nHID_NAME=Yubico YubiKey\nHID_PHYS=x\n";
        class.put("hidraw3", KEY, Some(uevent));
        class.put("hidraw1", KEY, None);
        class.put("hidraw0", &[0x05, 0x01, 0x09, 0x06], Some(uevent));
        class.put("hidraw", KEY, Some(uevent));
        class.put("hidraw1x", KEY, Some(uevent));
        class.put("other2", KEY, Some(uevent));
        fs::create_dir(class.0.join("hidraw9")).expect("a directory");
        let found = below(&class.0);
        let paths: Vec<_> = found.iter().map(|one| one.path().to_str()).collect();
        assert_eq!(paths, [Ok("/dev/hidraw1"), Ok("/dev/hidraw3")]);
        assert_eq!(found[0].product_string(), None);
        assert_eq!((found[0].vendor_id(), found[0].product_id()), (0, 0));
        assert_eq!(found[1].product_string(), Some("Yubico YubiKey"));
        assert_eq!(
            (found[1].vendor_id(), found[1].product_id()),
            (0x1050, 0x407)
        );
    }

    #[test]
    fn where_the_kernel_has_no_such_devices_none_is_found() {
        assert_eq!(below(Path::new("/nonexistent")), []);
    }

    #[test]
    fn numbers_that_are_none_are_zero() {
        assert_eq!(numbers("0003:00001050:00000407"), Some((0x1050, 0x407)));
        for id in ["", "0003", "0003:1", "0003:1:x", "0003:10000:1"] {
            assert_eq!(numbers(id), None, "{id}");
        }
    }
}
