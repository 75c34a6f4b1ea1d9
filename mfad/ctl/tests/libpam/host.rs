//! A PAM host on the real libpam: one transaction, with nobody to answer. The only calls into libpam here.

use std::{
    ffi::{CString, c_char, c_int, c_void},
    ptr,
};

#[repr(C)]
struct Conversation {
    converse: extern "C" fn(c_int, *const *const c_void, *mut *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

enum Handle {}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_chauthtok(handle: *mut Handle, flags: c_int) -> c_int;
}

/// `PAM_SILENT`
const SILENT: c_int = 0x8000;

/// What libpam answers for a phase of a service; `None` if it does not start.
pub(crate) fn ask(service: &str, phase: &str) -> Option<u8> {
    let service = CString::new(service).unwrap();
    let conversation = Conversation {
        converse,
        data: ptr::null_mut(),
    };
    let mut handle = ptr::null_mut();
    // SAFETY: the strings and the out pointer live across the call; libpam copies the conversation.
    let code = unsafe {
        pam_start(
            service.as_ptr(),
            c"root".as_ptr(),
            &raw const conversation,
            &raw mut handle,
        )
    };
    if code != 0 {
        return None;
    }
    // SAFETY: the handle is open until `pam_end`, which is the last use of it.
    let answer = unsafe {
        let answer = match phase {
            "auth" => pam_authenticate(handle, SILENT),
            "account" => pam_acct_mgmt(handle, SILENT),
            "session" => pam_open_session(handle, SILENT),
            "password" => pam_chauthtok(handle, SILENT),
            other => panic!("no phase {other}"),
        };
        pam_end(handle, answer);
        answer
    };
    Some(u8::try_from(answer).unwrap())
}

/// Says success and answers nothing: `pam_debug` only tells what it returns.
extern "C" fn converse(
    count: c_int,
    _messages: *const *const c_void,
    responses: *mut *mut c_void,
    _data: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else {
        return 19;
    };
    // SAFETY: `struct pam_response` is a pointer and an int, 16 bytes with padding; libpam frees the array.
    unsafe { *responses = libc::calloc(count, 16) };
    0
}
