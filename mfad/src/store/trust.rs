//! Remembered devices and proofs of login sessions, as values. What makes a device one, and a session one, is said here;
//! which of them suffice for what is the policy's.

pub use policy::Bind as BindKind;
use sha2::{Digest as _, Sha256};

/// Most remembered devices of one person.
pub const MOST_DEVICES: u32 = 32;
/// Longest label of a device, in bytes.
pub const LONGEST_LABEL: usize = 512;

/// What a remembered device is bound to: one value for each of some kinds. All of them must come back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding(Vec<(BindKind, String)>);

impl Binding {
    /// A binding to these values. `None` if there is none, if a kind comes twice, or if a value is empty or longer than
    /// 256 bytes: what is not known binds nothing.
    pub fn of(values: impl IntoIterator<Item = (BindKind, String)>) -> Option<Self> {
        let mut values: Vec<(BindKind, String)> =
            values.into_iter().take(BindKind::ALL.len() + 1).collect();
        values.sort();
        let sound = |(_, value): &(BindKind, String)| (1..=256).contains(&value.len());
        let distinct = values.windows(2).all(|pair| pair[0].0 != pair[1].0);
        (!values.is_empty() && distinct && values.iter().all(sound)).then_some(Self(values))
    }

    /// What the store knows it by.
    pub fn id(&self) -> DeviceId {
        let mut digest = Sha256::new();
        for (kind, value) in &self.0 {
            for part in [kind.word(), value] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        DeviceId(digest.finalize().into())
    }

    /// What its owner sees in a list, fit for a terminal: `ssh-key SHA256:…, service sshd`.
    pub fn label(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(kind, value)| format!("{} {value}", kind.word()))
            .collect();
        let mut label = mfad_protocol::printable(&parts.join(", "));
        while label.len() > LONGEST_LABEL {
            label.pop();
        }
        label
    }
}

/// A remembered device: the digest of what it is bound to. Shown to people as its first 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub [u8; 32]);

/// A device to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// What it is bound to.
    pub binding: Binding,
    /// For how long, in seconds: 1 to a year. More is taken for a year.
    pub lifetime: i64,
}

/// A remembered device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// What it is bound to, in words.
    pub label: String,
    /// When a second factor was proven from it, seconds since the epoch.
    pub created: i64,
    /// When it is forgotten.
    pub expires: i64,
    /// When it last stood for a proof.
    pub last_used: Option<i64>,
}

/// A login session of this boot, as logind tells it, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 32]);

impl SessionKey {
    /// The session of that id that began at those times, in microseconds since the epoch and since the boot. Ids are used
    /// again after a boot; both times together are not. (The boot's own id is hidden from a daemon that sees no more of
    /// `/proc` than processes.)
    pub fn of(id: &str, began: u64, began_monotonic: u64) -> Self {
        let mut digest = Sha256::new();
        digest.update(began.to_be_bytes());
        digest.update(began_monotonic.to_be_bytes());
        digest.update(id);
        Self(digest.finalize().into())
    }
}

/// That a factor was proven in a login session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The word for its kind.
    pub kind: String,
    /// When, seconds since the epoch.
    pub at: i64,
    /// The same in seconds since the boot, which its session does not outlive.
    pub booted: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(values: &[(BindKind, &str)]) -> Option<Binding> {
        Binding::of(
            values
                .iter()
                .map(|(kind, value)| (*kind, (*value).to_owned())),
        )
    }

    #[test]
    fn a_device_is_the_same_in_whatever_order_its_values_are_told() {
        let one = binding(&[(BindKind::SshKey, "SHA256:x"), (BindKind::Service, "sshd")]).unwrap();
        let two = binding(&[(BindKind::Service, "sshd"), (BindKind::SshKey, "SHA256:x")]).unwrap();
        assert_eq!(one.id(), two.id());
        assert_eq!(one.label(), "ssh-key SHA256:x, service sshd");
    }

    #[test]
    fn every_value_and_kind_makes_another_device() {
        let ids = [
            binding(&[(BindKind::Service, "a")]),
            binding(&[(BindKind::Service, "b")]),
            binding(&[(BindKind::Tty, "a")]),
            binding(&[(BindKind::Service, "a"), (BindKind::Tty, "a")]),
            binding(&[(BindKind::Service, "atty"), (BindKind::Tty, "a")]),
        ]
        .map(|binding| binding.unwrap().id());
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id));
        }
    }

    #[test]
    fn what_is_not_known_or_told_twice_binds_nothing() {
        assert_eq!(binding(&[]), None);
        assert_eq!(binding(&[(BindKind::Tty, "")]), None);
        assert_eq!(binding(&[(BindKind::Tty, "a"), (BindKind::Tty, "b")]), None);
        assert_eq!(binding(&[(BindKind::Tty, &"a".repeat(257))]), None);
    }

    #[test]
    fn a_label_can_be_shown() {
        let label = binding(&[(BindKind::Tty, "pts/1\u{1b}[2J")])
            .unwrap()
            .label();
        assert_eq!(label, "tty pts/1\u{fffd}[2J");
        let long =
            binding(&BindKind::ALL.map(|kind| (kind, "é".repeat(128).leak() as &str))).unwrap();
        assert!(long.label().len() <= LONGEST_LABEL);
    }

    #[test]
    fn a_session_of_the_same_id_after_a_boot_is_another_one() {
        assert_ne!(SessionKey::of("3", 5, 7), SessionKey::of("3", 6, 7));
        assert_ne!(SessionKey::of("3", 5, 7), SessionKey::of("3", 5, 8));
        assert_ne!(SessionKey::of("3", 5, 7), SessionKey::of("c3", 5, 7));
        assert_eq!(SessionKey::of("3", 5, 7), SessionKey::of("3", 5, 7));
    }
}
