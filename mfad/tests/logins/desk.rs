//! A helper for security keys that does what a test says: one key in software, and a line of events for each question.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use base64ct::Encoding as _;
use mfad_protocol::fido::{
    Assert, Assertion, Attestation, Bytes, Declined, Event, Failure, Make, Outcome, Progress,
    Request,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use sha2::{Digest as _, Sha256};

pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const ID: [u8; 32] = [0x1d; 32];
pub(crate) const ORIGIN: &str = "pam://testhost";

/// What happens at a question.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Something is told meanwhile.
    Tell(Progress),
    /// The key signs, or makes a credential, with these flags and this counter.
    Sign(u8, u32),
    /// It signs for somebody else's challenge.
    SignOther,
    /// It does not.
    Fail(Failure),
    /// The key that holds the credential of this place gives no signature.
    Decline(u32, Failure),
    /// The helper dies.
    Die,
    /// Nothing happens for that long.
    Wait(Duration),
}

/// A helper and its key.
pub(crate) struct Desk {
    _directory: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    script: Arc<Mutex<VecDeque<Vec<Act>>>>,
    asked: Arc<AtomicUsize>,
    started: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<Request>>>,
    key: Arc<EcdsaKeyPair>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("fido.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = Arc::<Mutex<VecDeque<Vec<Act>>>>::default();
        let asked = Arc::<AtomicUsize>::default();
        let all_started = Arc::<AtomicUsize>::default();
        let started = Arc::clone(&all_started);
        let heard = Arc::<Mutex<Vec<Request>>>::default();
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = Arc::new(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap());
        let (lines, count, keep, signer) = (
            Arc::clone(&script),
            Arc::clone(&asked),
            Arc::clone(&heard),
            Arc::clone(&key),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                started.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let (lines, count, keep, signer) = (
                    Arc::clone(&lines),
                    Arc::clone(&count),
                    Arc::clone(&keep),
                    Arc::clone(&signer),
                );
                thread::spawn(move || {
                    let Ok(request) = hear(&mut stream) else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    let acts = lines.lock().unwrap().pop_front().unwrap_or_default();
                    keep.lock().unwrap().push(request.clone());
                    // One that hangs up in the middle has its reasons.
                    let _gone = serve(&mut stream, acts, &signer, &request);
                });
            }
        });
        Self {
            _directory: directory,
            socket,
            script,
            asked,
            started: all_started,
            heard,
            key,
        }
    }

    /// What happens at the next question that nobody has said anything about.
    pub(crate) fn then(&self, acts: &[Act]) {
        self.script.lock().unwrap().push_back(acts.to_vec());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many helpers have started.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    /// The last question.
    pub(crate) fn last(&self) -> Request {
        self.heard.lock().unwrap().last().unwrap().clone()
    }

    /// Its credential, as pam_u2f would have kept it.
    pub(crate) fn record(&self, attributes: &str) -> String {
        let base64 = base64ct::Base64::encode_string;
        let point = &self.key.public_key().as_ref()[1..];
        format!("{},{},es256,{attributes}", base64(&ID), base64(point))
    }
}

fn hear(stream: &mut UnixStream) -> std::io::Result<Request> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn serve(
    stream: &mut UnixStream,
    acts: Vec<Act>,
    key: &EcdsaKeyPair,
    request: &Request,
) -> std::io::Result<()> {
    for act in acts {
        let event = match act {
            Act::Tell(progress) => Event::Progress(progress),
            Act::Sign(flags, counter) => Event::Done(sign(request, key, flags, counter)),
            Act::SignOther => {
                let mut other = request.clone();
                if let Request::Assert(assert) = &mut other {
                    assert.wanted[0].client_data.0.push(b' ');
                }
                Event::Done(sign(&other, key, PRESENT, 1))
            }
            Act::Fail(failure) => Event::Done(Outcome::Failed(failure)),
            Act::Decline(wanted, failure) => {
                Event::Done(Outcome::Declined(Declined { wanted, failure }))
            }
            Act::Die => return Ok(()),
            Act::Wait(time) => {
                thread::sleep(time);
                continue;
            }
        };
        let text = serde_json::to_vec(&event)?;
        stream.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes())?;
        stream.write_all(&text)?;
    }
    Ok(())
}

fn sign(request: &Request, key: &EcdsaKeyPair, flags: u8, counter: u32) -> Outcome {
    match request {
        Request::Assert(Assert { wanted, .. }) => {
            let auth_data = auth_data(&wanted[0].rp_id, flags, counter);
            Outcome::Asserted(Assertion {
                wanted: 0,
                signature: signature(key, &auth_data, &wanted[0].client_data.0),
                auth_data: Bytes(auth_data),
            })
        }
        Request::Make(Make {
            rp_id, client_data, ..
        }) => {
            let mut data = auth_data(rp_id, flags | ATTESTED, counter);
            data.extend([0xaa; 16]);
            data.extend([0, 32]);
            data.extend(ID);
            let point = key.public_key().as_ref();
            data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
            data.extend(&point[1..33]);
            data.extend([0x22, 0x58, 0x20]);
            data.extend(&point[33..]);
            Outcome::Made(Attestation {
                format: "packed".into(),
                signature: signature(key, &data, &client_data.0),
                auth_data: Bytes(data),
                algorithm: -7,
                certificates: Vec::new(),
            })
        }
        Request::List => Outcome::Keys(Vec::new()),
    }
}

fn auth_data(rp_id: &str, flags: u8, counter: u32) -> Vec<u8> {
    let mut data = Sha256::digest(rp_id).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    data
}

fn signature(key: &EcdsaKeyPair, auth_data: &[u8], client_data: &[u8]) -> Bytes {
    let mut signed = auth_data.to_vec();
    signed.extend(Sha256::digest(client_data));
    Bytes(
        key.sign(&SystemRandom::new(), &signed)
            .unwrap()
            .as_ref()
            .to_vec(),
    )
}
