//! Fingerprints of SSH keys as `ssh-keygen -l` prints them, for the conditions `key` and `ca`.

use std::collections::HashSet;

use super::Reader;
use crate::{diagnostic::quoted, document::Value};

/// Characters of base64, without padding, that 32 bytes make.
const LENGTH: usize = 43;

/// The fingerprints that `value` lists. What is wrong is noted.
pub(super) fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Vec<String>> {
    let strings = value.strings(reader.findings)?;
    let count = strings.len();
    let mut seen = HashSet::with_capacity(count);
    let mut prints = Vec::with_capacity(count);
    for (text, span) in strings {
        if !is_fingerprint(text) {
            let message = format!(
                "{} is no fingerprint; write it as `ssh-keygen -lf key.pub` prints it: SHA256: and {LENGTH} characters",
                quoted(text)
            );
            reader.findings.error(span, message);
        } else if seen.insert(text) {
            prints.push(text.to_owned());
        } else {
            reader
                .findings
                .error(span, format!("{} is listed twice", quoted(text)));
        }
    }
    (prints.len() == count).then_some(prints)
}

fn is_fingerprint(text: &str) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.strip_prefix("SHA256:")
        .is_some_and(|hash| hash.len() == LENGTH && hash.bytes().all(base64))
}
