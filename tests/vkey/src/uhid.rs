//! A device of Linux's /dev/uhid (include/uapi/linux/uhid.h): makes it, takes it away, carries its reports. Knows nothing
//! of what they mean.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    os::unix::fs::OpenOptionsExt,
};

use vkey::REPORT;

const DESTROY: u32 = 1;
const OUTPUT: u32 = 6;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;

const DATA: usize = 4096;
/// `struct uhid_event`: the type, and the largest of what may follow it, a `create2_req`.
const EVENT: usize = 4 + CREATE2_HEAD + DATA;
const CREATE2_HEAD: usize = 128 + 64 + 64 + 2 + 2 + 4 * 4;
const BUS_USB: u16 = 3;

/// Usage page of FIDO, usage of U2F authenticators, 64 bytes in and 64 bytes out (CTAP 2.1 §11.2.8.2).
const DESCRIPTOR: &[u8] = &[
    0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08,
    0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91,
    0x02, 0xc0,
];

/// A device that is plugged in as long as this lives.
#[derive(Debug)]
pub(crate) struct Device(File);

impl Device {
    /// Plugs one in, by the name that the kernel shows for it.
    pub(crate) fn plug(name: &str) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open("/dev/uhid")?;
        let mut device = Self(file);
        let mut body = vec![0; CREATE2_HEAD];
        // The last byte of the field stays the zero that ends it.
        for (place, byte) in body[..127].iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        let mut at = 128 + 64 + 64;
        let mut put = |bytes: &[u8]| {
            body[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&u16::try_from(DESCRIPTOR.len()).unwrap_or(0).to_ne_bytes());
        put(&BUS_USB.to_ne_bytes());
        // pid.codes' vendor and its first number for tests, version 1, no country.
        for number in [0x1209u32, 0x0001, 1, 0] {
            put(&number.to_ne_bytes());
        }
        body.extend(DESCRIPTOR);
        device.write(CREATE2, &body)?;
        Ok(device)
    }

    /// A report from the device to whoever has opened it.
    pub(crate) fn send(&mut self, report: &[u8; REPORT]) -> io::Result<()> {
        let mut body = u16::try_from(REPORT).unwrap_or(0).to_ne_bytes().to_vec();
        body.extend(report);
        self.write(INPUT2, &body)
    }

    /// The next report to the device, if one is here.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut event = [0; EVENT];
        loop {
            match self.0.read(&mut event) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            let [a, b, c, d, body @ ..] = &event;
            if u32::from_ne_bytes([*a, *b, *c, *d]) != OUTPUT {
                continue;
            }
            let size = usize::from(u16::from_ne_bytes([body[DATA], body[DATA + 1]]));
            let mut report = &body[..size.min(DATA)];
            // hidraw puts the report's number in front, which is zero where a device has one report only.
            if report.len() > REPORT {
                report = &report[1..];
            }
            return Ok(Some(report.to_vec()));
        }
    }

    /// To poll for reports.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn write(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let mut event = kind.to_ne_bytes().to_vec();
        event.extend(body);
        self.0.write_all(&event)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Closing it would do the same.
        let _ = self.write(DESTROY, &[]);
    }
}
