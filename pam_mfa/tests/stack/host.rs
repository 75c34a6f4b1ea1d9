//! A PAM host in this process: the real libpam, one transaction at a time, a conversation made of a list.

use std::{
    collections::VecDeque,
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

/// Where the suite's stacks are.
pub(crate) const STACKS: &str = "/run/stacks";

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const SERVICE_ERR: c_int = 3;
pub(crate) const PERM_DENIED: c_int = 6;
pub(crate) const AUTH_ERR: c_int = 7;
pub(crate) const AUTHINFO_UNAVAIL: c_int = 9;
pub(crate) const SESSION_ERR: c_int = 14;
pub(crate) const CONV_ERR: c_int = 19;

pub(crate) const USER: c_int = 2;
pub(crate) const TTY: c_int = 3;
pub(crate) const RHOST: c_int = 4;
pub(crate) const SILENT: c_int = 0x8000;

#[repr(C)]
struct PamMessage {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct PamResponse {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct PamConv {
    conv:
        extern "C" fn(c_int, *const *const PamMessage, *mut *mut PamResponse, *mut c_void) -> c_int,
    appdata: *mut c_void,
}

enum Handle {}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conv: *const PamConv,
        directory: *const c_char,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_set_item(handle: *mut Handle, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(handle: *mut Handle, entry: *const c_char) -> c_int;
    fn pam_getenv(handle: *mut Handle, name: *const c_char) -> *const c_char;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_chauthtok(handle: *mut Handle, flags: c_int) -> c_int;
}

/// What the person, or the host, does at a prompt.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Type(&'static [u8]),
    /// Success, and no text.
    Null,
    /// Success, and no response at all.
    NoArray,
    Fail,
    /// Types after so many milliseconds.
    Late(u64, &'static [u8]),
}

#[derive(Default)]
struct Dialogue {
    replies: VecDeque<Reply>,
    shown: Vec<(c_int, String)>,
}

/// One transaction.
pub(crate) struct Transaction {
    handle: *mut Handle,
    dialogue: Box<Dialogue>,
    _conv: Box<PamConv>,
}

impl Transaction {
    pub(crate) fn start(
        service: &str,
        user: Option<&[u8]>,
        replies: impl IntoIterator<Item = Reply>,
    ) -> Self {
        let service = CString::new(service).unwrap();
        let user = user.map(|name| CString::new(name).unwrap());
        let directory = CString::new(STACKS).unwrap();
        let mut dialogue = Box::new(Dialogue {
            replies: replies.into_iter().collect(),
            shown: Vec::new(),
        });
        let conv = Box::new(PamConv {
            conv: converse,
            appdata: ptr::from_mut(dialogue.as_mut()).cast(),
        });
        let mut handle = ptr::null_mut();
        // SAFETY: every pointer outlives the call; libpam copies the texts, and `conv` and `dialogue` live in boxes
        // that outlive the handle.
        let code = unsafe {
            pam_start_confdir(
                service.as_ptr(),
                user.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
                conv.as_ref(),
                directory.as_ptr(),
                &raw mut handle,
            )
        };
        assert_eq!(code, SUCCESS, "pam_start");
        Self {
            handle,
            dialogue,
            _conv: conv,
        }
    }

    pub(crate) fn item(self, item: c_int, value: &str) -> Self {
        let value = CString::new(value).unwrap();
        // SAFETY: the handle is open; libpam copies the value.
        let code = unsafe { pam_set_item(self.handle, item, value.as_ptr().cast()) };
        assert_eq!(code, SUCCESS);
        self
    }

    pub(crate) fn env(self, entry: &str) -> Self {
        let entry = CString::new(entry).unwrap();
        // SAFETY: the handle is open; libpam copies the entry.
        assert_eq!(unsafe { pam_putenv(self.handle, entry.as_ptr()) }, SUCCESS);
        self
    }

    pub(crate) fn get_env(&self, name: &CStr) -> Option<String> {
        // SAFETY: the handle is open.
        let value = unsafe { pam_getenv(self.handle, name.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: a C string of the handle's, copied at once.
        let value = unsafe { CStr::from_ptr(value) };
        Some(value.to_string_lossy().into_owned())
    }

    /// What the person has seen, style and text.
    pub(crate) fn shown(&self) -> &[(c_int, String)] {
        &self.dialogue.shown
    }

    pub(crate) fn authenticate(&mut self) -> c_int {
        // SAFETY: the handle is open, here and below.
        unsafe { pam_authenticate(self.handle, 0) }
    }

    pub(crate) fn authenticate_with(&mut self, flags: c_int) -> c_int {
        // SAFETY: as above.
        unsafe { pam_authenticate(self.handle, flags) }
    }

    pub(crate) fn setcred(&mut self) -> c_int {
        // SAFETY: as above.
        unsafe { pam_setcred(self.handle, 2) }
    }

    pub(crate) fn account(&mut self) -> c_int {
        // SAFETY: as above.
        unsafe { pam_acct_mgmt(self.handle, 0) }
    }

    pub(crate) fn open_session(&mut self, flags: c_int) -> c_int {
        // SAFETY: as above.
        unsafe { pam_open_session(self.handle, flags) }
    }

    pub(crate) fn close_session(&mut self) -> c_int {
        // SAFETY: as above.
        unsafe { pam_close_session(self.handle, 0) }
    }

    pub(crate) fn change_password(&mut self) -> c_int {
        // SAFETY: as above.
        unsafe { pam_chauthtok(self.handle, 0) }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used again.
        unsafe { pam_end(self.handle, SUCCESS) };
    }
}

extern "C" fn converse(
    count: c_int,
    messages: *const *const PamMessage,
    responses: *mut *mut PamResponse,
    appdata: *mut c_void,
) -> c_int {
    assert_eq!(count, 1);
    // SAFETY: `appdata` is the boxed dialogue of an open transaction, and nobody else uses it during a PAM call.
    let dialogue = unsafe { &mut *appdata.cast::<Dialogue>() };
    // SAFETY: libpam's contract: one message, a C string in it.
    let (style, text) = unsafe {
        let message = &**messages;
        (
            message.style,
            CStr::from_ptr(message.text).to_string_lossy().into_owned(),
        )
    };
    dialogue.shown.push((style, text));
    let prompts = style == 1 || style == 2;
    let reply = if prompts {
        dialogue.replies.pop_front().unwrap_or(Reply::Fail)
    } else {
        Reply::Null
    };
    let typed = match reply {
        Reply::Fail => return CONV_ERR,
        Reply::NoArray => return SUCCESS,
        Reply::Null => ptr::null_mut(),
        Reply::Type(bytes) => duplicate(bytes),
        Reply::Late(millis, bytes) => {
            std::thread::sleep(std::time::Duration::from_millis(millis));
            duplicate(bytes)
        }
    };
    // SAFETY: the module frees what malloc gave, as pam_conv(3) says.
    unsafe {
        let response = libc::calloc(1, size_of::<PamResponse>()).cast::<PamResponse>();
        (*response).text = typed;
        *responses = response;
    }
    SUCCESS
}

fn duplicate(bytes: &[u8]) -> *mut c_char {
    let text = CString::new(bytes).unwrap();
    // SAFETY: a C string.
    unsafe { libc::strdup(text.as_ptr()) }
}
