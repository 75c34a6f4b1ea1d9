//! libpam's own interface, as far as a host needs it. The only file with calls into it; it decides nothing.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

/// `PAM_SUCCESS`.
pub(crate) const SUCCESS: i32 = 0;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;
const PROMPT_ECHO_OFF: c_int = 1;
const PROMPT_ECHO_ON: c_int = 2;
/// `PAM_MAX_NUM_MSG`.
const MAX_MESSAGES: c_int = 32;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conversation {
    converse: extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int,
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
    fn pam_set_item(handle: *mut Handle, item: c_int, value: *const c_void) -> c_int;
    fn pam_putenv(handle: *mut Handle, pair: *const c_char) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_open_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_chauthtok(handle: *mut Handle, flags: c_int) -> c_int;
}

/// An entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `pam_authenticate`
    Auth,
    /// `pam_acct_mgmt`
    Account,
    /// `pam_setcred` with `PAM_ESTABLISH_CRED`
    Credentials,
    /// `pam_open_session`
    Open,
    /// `pam_close_session`
    Close,
    /// `pam_chauthtok`
    Password,
}

impl Phase {
    /// The phase that `word` names.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "auth" => Self::Auth,
            "account" => Self::Account,
            "setcred" => Self::Credentials,
            "open" => Self::Open,
            "close" => Self::Close,
            "password" => Self::Password,
            _ => return None,
        })
    }

    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Credentials => "setcred",
            Self::Open => "open",
            Self::Close => "close",
            Self::Password => "password",
        }
    }
}

/// An item that hosts set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Item {
    /// `PAM_TTY`
    Tty = 3,
    /// `PAM_RHOST`
    Rhost = 4,
    /// `PAM_RUSER`
    Ruser = 8,
}

/// What the conversation says, and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Answers to prompts, in order. When they run out, the conversation fails.
    pub(crate) answers: Vec<CString>,
    /// Everything shown.
    pub(crate) shown: Vec<String>,
    next: usize,
}

/// From `pam_start` to `pam_end`.
pub(crate) struct Transaction {
    handle: *mut Handle,
    last: c_int,
    /// Boxed: libpam keeps the address.
    script: Box<Script>,
}

impl Transaction {
    /// Begins one.
    ///
    /// # Errors
    /// `pam_start`'s code.
    pub(crate) fn start(service: &CStr, user: &CStr, answers: Vec<CString>) -> Result<Self, i32> {
        let mut script = Box::new(Script {
            answers,
            ..Script::default()
        });
        let conversation = Conversation {
            converse,
            data: ptr::from_mut(script.as_mut()).cast(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the strings and the out pointer live across the call; libpam copies the conversation, whose data
        // stays at its address in the box until after `pam_end`.
        let code = unsafe {
            pam_start(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                &raw mut handle,
            )
        };
        if code == SUCCESS {
            Ok(Self {
                handle,
                last: code,
                script,
            })
        } else {
            Err(code)
        }
    }

    /// Sets an item.
    pub(crate) fn set(&mut self, item: Item, value: &CStr) {
        // SAFETY: the handle is open, and libpam copies the string.
        self.last = unsafe { pam_set_item(self.handle, item as c_int, value.as_ptr().cast()) };
    }

    /// Sets a variable of the PAM environment, as `NAME=value`.
    pub(crate) fn put(&mut self, pair: &CStr) {
        // SAFETY: the handle is open, and libpam copies the string.
        self.last = unsafe { pam_putenv(self.handle, pair.as_ptr()) };
    }

    /// Runs an entry point; returns its code.
    pub(crate) fn run(&mut self, phase: Phase) -> i32 {
        /// `PAM_ESTABLISH_CRED`
        const ESTABLISH: c_int = 2;
        let handle = self.handle;
        // SAFETY: the handle is open, and nothing else uses it or the script meanwhile.
        self.last = unsafe {
            match phase {
                Phase::Auth => pam_authenticate(handle, 0),
                Phase::Account => pam_acct_mgmt(handle, 0),
                Phase::Credentials => pam_setcred(handle, ESTABLISH),
                Phase::Open => pam_open_session(handle, 0),
                Phase::Close => pam_close_session(handle, 0),
                Phase::Password => pam_chauthtok(handle, 0),
            }
        };
        self.last
    }

    /// What was shown so far.
    pub(crate) fn shown(&self) -> &[String] {
        &self.script.shown
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and is not used after this.
        unsafe { pam_end(self.handle, self.last) };
    }
}

extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let Ok(length) = usize::try_from(count) else {
        return CONV_ERR;
    };
    if messages.is_null()
        || responses.is_null()
        || data.is_null()
        || !(1..=MAX_MESSAGES).contains(&count)
    {
        return CONV_ERR;
    }
    // SAFETY: `data` is the script that `start` gave, which outlives the transaction; libpam calls one at a time.
    let script = unsafe { &mut *data.cast::<Script>() };
    // SAFETY: libpam passes an array of `count` pointers (Linux-PAM's layout, pam_conv(3)).
    let messages = unsafe { std::slice::from_raw_parts(messages, length) };
    // SAFETY: plain allocation; libpam's side frees it with free(3).
    let replies = unsafe { libc::calloc(length, size_of::<Response>()) }.cast::<Response>();
    if replies.is_null() {
        return BUF_ERR;
    }
    for (index, message) in messages.iter().enumerate() {
        // SAFETY: each pointer is a valid message with a terminated text.
        let (style, text) = unsafe { ((**message).style, CStr::from_ptr((**message).text)) };
        script.shown.push(text.to_string_lossy().into_owned());
        if !matches!(style, PROMPT_ECHO_OFF | PROMPT_ECHO_ON) {
            continue;
        }
        let Some(answer) = script.answers.get(script.next) else {
            // SAFETY: allocated above, not handed out. Answers before this one leak: the test ends soon.
            unsafe { libc::free(replies.cast()) };
            return CONV_ERR;
        };
        script.next += 1;
        // SAFETY: `index` is below `length`; strdup's result becomes the receiver's.
        unsafe { (*replies.add(index)).text = libc::strdup(answer.as_ptr()) };
    }
    // SAFETY: checked above not to be null.
    unsafe { *responses = replies };
    SUCCESS
}
