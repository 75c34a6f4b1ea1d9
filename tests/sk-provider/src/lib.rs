//! The tests' own FIDO authenticator for OpenSSH (`SecurityKeyProvider`), and its face to C: sk-api.h. It owns every
//! `unsafe` block; what the authenticator does is `authenticator`'s and `script`'s matter.
//!
//! Never a place for a key that guards anything: a key's handle, which lies in the key file, is the key itself.

pub mod authenticator;
pub mod script;

use std::{
    ffi::{CStr, c_char, c_int},
    ptr, slice,
};

use authenticator::{Algorithm, Error};
use script::Script;

/// The interface of OpenSSH 9.1 and newer.
const VERSION: u32 = 0x000a_0000;
/// Longest message, name or handle that is taken, in bytes.
const LONGEST: usize = 1024 * 1024;

/// `struct sk_enroll_response`
#[repr(C)]
#[derive(Debug)]
pub struct EnrollResponse {
    flags: u8,
    public_key: Bytes,
    key_handle: Bytes,
    signature: Bytes,
    attestation_certificate: Bytes,
    authenticator_data: Bytes,
}

/// `struct sk_sign_response`
#[repr(C)]
#[derive(Debug)]
pub struct SignResponse {
    flags: u8,
    counter: u32,
    /// The whole signature for Ed25519; one of the two numbers for P-256.
    r: Bytes,
    s: Bytes,
}

/// A pointer and a length, which OpenSSH frees.
#[repr(C)]
#[derive(Debug)]
pub struct Bytes {
    start: *mut u8,
    length: usize,
}

impl Bytes {
    const NONE: Self = Self {
        start: ptr::null_mut(),
        length: 0,
    };

    /// A copy that `free(3)` takes.
    fn copy(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::NONE;
        }
        // SAFETY: any size may be asked for; what comes back is either null or that many bytes that nobody else has.
        let start = unsafe { libc::malloc(bytes.len()) }.cast::<u8>();
        if start.is_null() {
            return Self::NONE;
        }
        // SAFETY: `start` has room for them, and fresh memory overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
        Self {
            start,
            length: bytes.len(),
        }
    }
}

/// `sk_api_version`
#[unsafe(no_mangle)]
pub extern "C" fn sk_api_version() -> u32 {
    VERSION
}

/// `sk_enroll`: makes a key.
///
/// # Safety
/// As sk-api.h has it: texts end in NUL, and `response` points to a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_enroll(
    algorithm: u32,
    _challenge: *const u8,
    _challenge_length: usize,
    application: *const c_char,
    flags: u8,
    pin: *const c_char,
    _options: *const *const (),
    response: *mut *mut EnrollResponse,
) -> c_int {
    // SAFETY: the caller's promise.
    let (application, pin) = unsafe { (text(application), text(pin)) };
    let made = Algorithm::of(algorithm).and_then(|algorithm| {
        Script::in_force()?.permit(application.unwrap_or_default(), flags, pin)?;
        authenticator::make(algorithm)
    });
    let made = match made {
        Ok(made) => made,
        Err(error) => return error.code(),
    };
    // SAFETY: the caller's promise.
    unsafe {
        hand_over(
            EnrollResponse {
                flags,
                public_key: Bytes::copy(&made.public),
                key_handle: Bytes::copy(&made.handle),
                signature: Bytes::NONE,
                attestation_certificate: Bytes::NONE,
                authenticator_data: Bytes::NONE,
            },
            response,
        )
    }
}

/// `sk_sign`: signs as the script says.
///
/// # Safety
/// As sk-api.h has it: pointers come with their lengths, texts end in NUL, and `response` points to a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_sign(
    algorithm: u32,
    data: *const u8,
    data_length: usize,
    application: *const c_char,
    handle: *const u8,
    handle_length: usize,
    flags: u8,
    pin: *const c_char,
    _options: *const *const (),
    response: *mut *mut SignResponse,
) -> c_int {
    // SAFETY: the caller's promise.
    let (data, handle, application, pin) = unsafe {
        (
            bytes(data, data_length),
            bytes(handle, handle_length),
            text(application),
            text(pin),
        )
    };
    let (Some(data), Some(handle), Some(application)) = (data, handle, application) else {
        return Error::General.code();
    };
    let signed = Algorithm::of(algorithm).and_then(|algorithm| {
        let presence = Script::in_force()?.permit(application, flags, pin)?;
        authenticator::sign(algorithm, handle, data, &presence)
            .map(|signature| (signature, presence))
    });
    let (signature, presence) = match signed {
        Ok(signed) => signed,
        Err(error) => return error.code(),
    };
    // SAFETY: the caller's promise.
    unsafe {
        hand_over(
            SignResponse {
                flags: presence.flags,
                counter: presence.counter,
                r: Bytes::copy(&signature.r),
                s: Bytes::copy(&signature.s),
            },
            response,
        )
    }
}

/// `sk_load_resident_keys`: this authenticator keeps none.
#[unsafe(no_mangle)]
pub extern "C" fn sk_load_resident_keys(
    _pin: *const c_char,
    _options: *const *const (),
    _keys: *mut *mut *mut (),
    _count: *mut usize,
) -> c_int {
    Error::Unsupported.code()
}

/// # Safety
/// `at` ends in NUL and stays, or is null.
unsafe fn text<'a>(at: *const c_char) -> Option<&'a str> {
    if at.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(at) }.to_str().ok()
}

/// # Safety
/// `length` bytes at `at` stay, or it is null.
unsafe fn bytes<'a>(at: *const u8, length: usize) -> Option<&'a [u8]> {
    if at.is_null() || length > LONGEST {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { slice::from_raw_parts(at, length) })
}

/// # Safety
/// `to` points to a pointer of the caller's, or is null.
unsafe fn hand_over<T>(value: T, to: *mut *mut T) -> c_int {
    if to.is_null() {
        return Error::General.code();
    }
    // SAFETY: any size may be asked for, and malloc(3) aligns for every type of C.
    let place = unsafe { libc::malloc(size_of::<T>()) }.cast::<T>();
    if place.is_null() {
        return Error::General.code();
    }
    // SAFETY: fresh memory of that size, and the caller's own pointer.
    unsafe {
        place.write(value);
        to.write(place);
    }
    0
}
