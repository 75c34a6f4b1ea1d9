//! The other side of a key: what a browser or libfido2 does. Written from the specification, not from the key's code.

use std::time::Duration;

use aes::Aes256;
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use ciborium::{Value, cbor};
use ring::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    digest, hkdf, hmac,
    rand::SystemRandom,
    signature,
};
use vkey::Key;

pub(crate) const RP: &str = "host.example";
pub(crate) const HASH: [u8; 32] = [7; 32];

pub(crate) struct Platform {
    pub(crate) key: Key,
    pub(crate) now: Duration,
    channel: [u8; 4],
}

/// What came back: from which channel, which command, which bytes; and how many keepalives before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) channel: [u8; 4],
    pub(crate) command: u8,
    pub(crate) data: Vec<u8>,
    pub(crate) keepalives: usize,
}

impl Platform {
    pub(crate) fn new(orders: &[&str]) -> Self {
        Self::with(Key::new().unwrap(), orders)
    }

    pub(crate) fn with(mut key: Key, orders: &[&str]) -> Self {
        for order in orders {
            key.order(order).unwrap();
        }
        let mut platform = Self {
            key,
            now: Duration::from_secs(100),
            channel: [0xff; 4],
        };
        platform.init();
        platform
    }

    /// A channel of its own.
    pub(crate) fn init(&mut self) {
        self.channel = [0xff; 4];
        self.write(0x86, b"12345678");
        let reply = self.read(1).unwrap();
        assert_eq!(&reply.data[..8], b"12345678");
        self.channel.copy_from_slice(&reply.data[8..12]);
    }

    pub(crate) fn write(&mut self, command: u8, data: &[u8]) {
        let (first, rest) = data.split_at(data.len().min(57));
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let mut report = [&self.channel[..], &[command], &length, first].concat();
        self.key.receive(&report, self.now);
        for (number, part) in rest.chunks(59).enumerate() {
            report = [&self.channel[..], &[u8::try_from(number).unwrap()], part].concat();
            self.key.receive(&report, self.now);
        }
    }

    /// The next message, for which at most `seconds` may pass.
    pub(crate) fn read(&mut self, seconds: u64) -> Option<Message> {
        let end = self.now + Duration::from_secs(seconds);
        let mut keepalives = 0;
        while self.now <= end {
            let Some(report) = self.key.transmit(self.now) else {
                self.now += Duration::from_millis(20);
                continue;
            };
            if report[4] == 0xbb {
                keepalives += 1;
                continue;
            }
            let length = usize::from(u16::from_be_bytes([report[5], report[6]]));
            let mut data = report[7..].to_vec();
            let mut number = 0;
            while data.len() < length {
                let next = self.key.transmit(self.now)?;
                assert_eq!(next[4], number, "sequence");
                number = (number + 1) % 0x80;
                data.extend(&next[5..]);
            }
            data.truncate(length);
            return Some(Message {
                channel: report[..4].try_into().unwrap(),
                command: report[4],
                data,
                keepalives,
            });
        }
        None
    }

    pub(crate) const fn channel(&self) -> [u8; 4] {
        self.channel
    }

    /// A CTAP2 command: its reply's map, or its status.
    pub(crate) fn command(&mut self, command: u8, parameters: Option<&Value>) -> Result<Value, u8> {
        self.send(command, parameters);
        self.answer()
    }

    pub(crate) fn send(&mut self, command: u8, parameters: Option<&Value>) {
        let mut request = vec![command];
        if let Some(parameters) = parameters {
            ciborium::into_writer(parameters, &mut request).unwrap();
        }
        self.write(0x90, &request);
    }

    pub(crate) fn answer(&mut self) -> Result<Value, u8> {
        let reply = self.read(60).expect("an answer");
        assert_eq!((reply.command, reply.channel), (0x90, self.channel));
        match reply.data.split_first().unwrap() {
            (0, []) => Ok(Value::Null),
            (0, body) => Ok(ciborium::from_reader(body).unwrap()),
            (status, _) => Err(*status),
        }
    }

    pub(crate) fn make(&mut self, request: &Make) -> Result<Made, u8> {
        let mut parameters = vec![
            (1.into(), Value::Bytes(HASH.to_vec())),
            (2.into(), cbor!({"id" => RP, "name" => RP}).unwrap()),
            (3.into(), cbor!({"id" => Value::Bytes(vec![request.user]), "name" => "alice", "displayName" => "Alice"}).unwrap()),
            (4.into(), cbor!([{"alg" => -257, "type" => "public-key"}, {"alg" => request.algorithm, "type" => "public-key"}]).unwrap()),
            (5.into(), Value::Array(request.exclude.iter().map(|id| descriptor(id)).collect())),
            (7.into(), cbor!({"rk" => request.resident}).unwrap()),
        ];
        if request.protection > 0 {
            let level = cbor!({"credProtect" => request.protection}).unwrap();
            parameters.push((6.into(), level));
        }
        parameters.extend(request.token.iter().flat_map(|token| token.proof(8)));
        let reply = self.command(1, Some(&Value::Map(parameters)))?;
        Ok(Made::of(&reply))
    }

    pub(crate) fn get(&mut self, ids: &[&[u8]], token: Option<&Token>) -> Result<Value, u8> {
        let mut parameters = vec![
            (1.into(), Value::from(RP)),
            (2.into(), Value::Bytes(HASH.to_vec())),
        ];
        if !ids.is_empty() {
            let list = ids.iter().map(|id| descriptor(id)).collect();
            parameters.push((3.into(), Value::Array(list)));
        }
        parameters.extend(token.iter().flat_map(|token| token.proof(6)));
        self.command(2, Some(&Value::Map(parameters)))
    }

    /// A secret shared with the key.
    pub(crate) fn agree(&mut self, protocol: u8) -> Shared {
        let reply = self.command(6, Some(&cbor!({1 => protocol, 2 => 2}).unwrap()));
        let theirs = field(&reply.unwrap(), 1);
        let coordinate = |key: i32| field(&theirs, key).into_bytes().unwrap();
        let point = [vec![4], coordinate(-2), coordinate(-3)].concat();
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = private.compute_public_key().unwrap();
        let (x, y) = public.as_ref()[1..].split_at(32);
        let ours = cbor!({1 => 2, 3 => -25, -1 => 1, -2 => Value::Bytes(x.to_vec()), -3 => Value::Bytes(y.to_vec())});
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        let z = agree_ephemeral(private, &peer, <[u8]>::to_vec).unwrap();
        Shared::of(protocol, &z, ours.unwrap())
    }

    pub(crate) fn set_pin(&mut self, protocol: u8, pin: &str) -> Result<Value, u8> {
        let shared = self.agree(protocol);
        let sealed = shared.encrypt(&padded(pin));
        let tag = shared.tag(&shared.hmac, &sealed);
        let request = cbor!({1 => protocol, 2 => 3, 3 => shared.ours, 4 => Value::Bytes(tag), 5 => Value::Bytes(sealed)});
        self.command(6, Some(&request.unwrap()))
    }

    pub(crate) fn change_pin(&mut self, protocol: u8, old: &str, new: &str) -> Result<Value, u8> {
        let shared = self.agree(protocol);
        let sealed = shared.encrypt(&padded(new));
        let hash = shared.encrypt(&pin_hash(old));
        let tag = shared.tag(&shared.hmac, &[&sealed[..], &hash].concat());
        let request = cbor!({
            1 => protocol, 2 => 4, 3 => shared.ours, 4 => Value::Bytes(tag), 5 => Value::Bytes(sealed),
            6 => Value::Bytes(hash)
        });
        self.command(6, Some(&request.unwrap()))
    }

    /// A token for a PIN, by the old subcommand or by the one with permissions; or for a finger, without a PIN.
    pub(crate) fn token(
        &mut self,
        protocol: u8,
        pin: Option<&str>,
        rights: u8,
    ) -> Result<Token, u8> {
        let shared = self.agree(protocol);
        let ours = shared.ours.clone();
        let hash = pin.map(|pin| Value::Bytes(shared.encrypt(&pin_hash(pin))));
        let request = match (hash, rights) {
            (Some(hash), 0) => cbor!({1 => protocol, 2 => 5, 3 => ours, 6 => hash}),
            (Some(hash), _) => {
                cbor!({1 => protocol, 2 => 9, 3 => ours, 6 => hash, 9 => rights, 10 => RP})
            }
            (None, _) => cbor!({1 => protocol, 2 => 6, 3 => ours, 9 => rights, 10 => RP}),
        };
        let reply = self.command(6, Some(&request.unwrap()))?;
        let sealed = field(&reply, 2).into_bytes().unwrap();
        let secret = shared.decrypt(&sealed);
        Ok(Token { shared, secret })
    }
}

/// What is asked of a new credential.
pub(crate) struct Make<'a> {
    pub(crate) user: u8,
    pub(crate) algorithm: i32,
    pub(crate) resident: bool,
    pub(crate) protection: u8,
    pub(crate) exclude: Vec<Vec<u8>>,
    pub(crate) token: Option<&'a Token>,
}

impl Default for Make<'_> {
    fn default() -> Self {
        Self {
            user: 1,
            algorithm: -7,
            resident: false,
            protection: 0,
            exclude: Vec::new(),
            token: None,
        }
    }
}

/// A new credential.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: Vec<u8>,
    pub(crate) public: Value,
    pub(crate) data: Vec<u8>,
    pub(crate) statement: Value,
}

impl Made {
    fn of(reply: &Value) -> Self {
        let data = field(reply, 2).into_bytes().unwrap();
        let length = usize::from(u16::from_be_bytes([data[53], data[54]]));
        let (id, rest) = data[55..].split_at(length);
        Self {
            id: id.to_vec(),
            public: ciborium::from_reader(rest).unwrap(),
            statement: field(reply, 3),
            data: data.clone(),
        }
    }
}

/// Flags and counter of an assertion, whose signature must be right.
pub(crate) fn verified(made: &Made, assertion: &Value) -> (u8, u32) {
    let data = field(assertion, 2).into_bytes().unwrap();
    let signed = [&data[..], &HASH].concat();
    let signature = field(assertion, 3).into_bytes().unwrap();
    assert!(good(&made.public, &signed, &signature), "signature");
    assert_eq!(
        &data[..32],
        digest::digest(&digest::SHA256, RP.as_bytes()).as_ref()
    );
    (
        data[32],
        u32::from_be_bytes(data[33..37].try_into().unwrap()),
    )
}

/// Whether a COSE key made a signature.
pub(crate) fn good(public: &Value, message: &[u8], signature: &[u8]) -> bool {
    let part = |key: i32| field(public, key).into_bytes().unwrap();
    let key = if field(public, 3) == Value::from(-8) {
        signature::UnparsedPublicKey::new(
            &signature::ED25519 as &dyn signature::VerificationAlgorithm,
            part(-2),
        )
    } else {
        signature::UnparsedPublicKey::new(
            &signature::ECDSA_P256_SHA256_ASN1 as &dyn signature::VerificationAlgorithm,
            [vec![4], part(-2), part(-3)].concat(),
        )
    };
    key.verify(message, signature).is_ok()
}

/// An entry of a map.
pub(crate) fn field(map: &Value, key: impl Into<Value>) -> Value {
    let key = key.into();
    let entries = map.as_map().expect("a map");
    let found = entries.iter().find(|(name, _)| *name == key);
    found.map_or(Value::Null, |(_, value)| value.clone())
}

fn descriptor(id: &[u8]) -> Value {
    cbor!({"id" => Value::Bytes(id.to_vec()), "type" => "public-key"}).unwrap()
}

fn padded(pin: &str) -> Vec<u8> {
    let mut padded = pin.as_bytes().to_vec();
    padded.resize(64, 0);
    padded
}

fn pin_hash(pin: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, pin.as_bytes()).as_ref()[..16].to_vec()
}

pub(crate) struct Shared {
    protocol: u8,
    hmac: Vec<u8>,
    aes: Vec<u8>,
    ours: Value,
}

impl Shared {
    fn of(protocol: u8, z: &[u8], ours: Value) -> Self {
        let (hmac, aes) = if protocol == 1 {
            let both = digest::digest(&digest::SHA256, z).as_ref().to_vec();
            (both.clone(), both)
        } else {
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[0; 32]).extract(z);
            let derive = |purpose: &[u8]| {
                let mut out = vec![0; 32];
                let purpose = [purpose];
                prk.expand(&purpose, hkdf::HKDF_SHA256)
                    .unwrap()
                    .fill(&mut out)
                    .unwrap();
                out
            };
            (derive(b"CTAP2 HMAC key"), derive(b"CTAP2 AES key"))
        };
        Self {
            protocol,
            hmac,
            aes,
            ours,
        }
    }

    fn tag(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        let length = if self.protocol == 1 { 16 } else { 32 };
        tag.as_ref()[..length].to_vec()
    }

    fn encrypt(&self, plain: &[u8]) -> Vec<u8> {
        // The platform's IV must be random; for a test any will do.
        let iv = if self.protocol == 1 { [0; 16] } else { [9; 16] };
        let mut cipher = cbc::Encryptor::<Aes256>::new_from_slices(&self.aes, &iv).unwrap();
        let mut out = if self.protocol == 1 {
            Vec::new()
        } else {
            iv.to_vec()
        };
        for part in plain.chunks(16) {
            let mut block = Array::try_from(part).unwrap();
            cipher.encrypt_block(&mut block);
            out.extend(block);
        }
        out
    }

    fn decrypt(&self, sealed: &[u8]) -> Vec<u8> {
        let (iv, body) = if self.protocol == 1 {
            (&[0; 16][..], sealed)
        } else {
            sealed.split_at(16)
        };
        let mut cipher = cbc::Decryptor::<Aes256>::new_from_slices(&self.aes, iv).unwrap();
        let mut out = Vec::new();
        for part in body.chunks(16) {
            let mut block = Array::try_from(part).unwrap();
            cipher.decrypt_block(&mut block);
            out.extend(block);
        }
        out
    }
}

/// What shows a key that its user was verified.
pub(crate) struct Token {
    shared: Shared,
    secret: Vec<u8>,
}

impl Token {
    fn proof(&self, place: i32) -> [(Value, Value); 2] {
        let tag = self.shared.tag(&self.secret, &HASH);
        [
            (place.into(), Value::Bytes(tag)),
            ((place + 1).into(), self.shared.protocol.into()),
        ]
    }
}
