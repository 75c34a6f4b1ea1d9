//! The status byte that begins every CTAP reply. Names what CTAP 2.1 §8.2 names, as far as this key says it.

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u8);

impl Status {
    pub(crate) const INVALID_COMMAND: Self = Self(0x01);
    pub(crate) const INVALID_PARAMETER: Self = Self(0x02);
    pub(crate) const UNEXPECTED_TYPE: Self = Self(0x11);
    pub(crate) const INVALID_CBOR: Self = Self(0x12);
    pub(crate) const MISSING_PARAMETER: Self = Self(0x14);
    pub(crate) const CREDENTIAL_EXCLUDED: Self = Self(0x19);
    pub(crate) const UNSUPPORTED_ALGORITHM: Self = Self(0x26);
    pub(crate) const OPERATION_DENIED: Self = Self(0x27);
    pub(crate) const KEY_STORE_FULL: Self = Self(0x28);
    pub(crate) const UNSUPPORTED_OPTION: Self = Self(0x2b);
    pub(crate) const INVALID_OPTION: Self = Self(0x2c);
    pub(crate) const KEEPALIVE_CANCEL: Self = Self(0x2d);
    pub(crate) const NO_CREDENTIALS: Self = Self(0x2e);
    pub(crate) const USER_ACTION_TIMEOUT: Self = Self(0x2f);
    pub(crate) const NOT_ALLOWED: Self = Self(0x30);
    pub(crate) const PIN_INVALID: Self = Self(0x31);
    pub(crate) const PIN_BLOCKED: Self = Self(0x32);
    pub(crate) const PIN_AUTH_INVALID: Self = Self(0x33);
    pub(crate) const PIN_AUTH_BLOCKED: Self = Self(0x34);
    pub(crate) const PIN_NOT_SET: Self = Self(0x35);
    pub(crate) const PIN_REQUIRED: Self = Self(0x36);
    pub(crate) const PIN_POLICY_VIOLATION: Self = Self(0x37);
    pub(crate) const REQUEST_TOO_LARGE: Self = Self(0x39);
    pub(crate) const UV_BLOCKED: Self = Self(0x3c);
    pub(crate) const UV_INVALID: Self = Self(0x3f);
    pub(crate) const OTHER: Self = Self(0x7f);
}

impl From<ring::error::Unspecified> for Status {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::OTHER
    }
}
