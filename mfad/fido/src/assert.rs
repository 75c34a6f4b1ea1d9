//! Finds the key that holds a wanted credential, whenever it is plugged in, and lets it sign. Only that one blinks.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use ctap_hid_fido2::fidokey::GetAssertionArgsBuilder;
use mfad_protocol::fido::{
    Assert, Assertion, Bytes, CLIENT_DATA, CREDENTIAL_ID, CREDENTIALS, Declined, Failure, Outcome,
    Progress, RP_ID, Wanted,
};

use crate::{
    failure::{Trouble, trouble},
    key::{self, Key, Plugged},
    verification::Verification,
    watch::Watch,
};

/// How often it is looked whether a key has come or gone.
const GLANCE: Duration = Duration::from_millis(200);
/// How long a key may take to say what it holds.
const SILENT: Duration = Duration::from_secs(2);

/// What a key signs when it is asked whether it holds a credential: never a challenge, which takes a touch.
const PROBE: &[u8] = b"mfad-fido: is it here?";

/// Waits for a signature.
pub(crate) fn assert(watch: &Watch, request: &Assert) -> Outcome {
    if !sensible(request) {
        return Outcome::Failed(Failure::Refused);
    }
    let mut search = Search::new(&request.wanted);
    while !watch.left().is_zero() {
        let Some(found) = search.look(watch) else {
            continue;
        };
        let path = found.path.clone();
        let wanted = place(found.wanted);
        match sign(watch, found, request) {
            Ok(assertion) => return Outcome::Asserted(assertion),
            Err(Trouble::Failed(Failure::Busy)) => watch.obstacle(Progress::Busy),
            Err(Trouble::Failed(failure)) => {
                return Outcome::Declined(Declined { wanted, failure });
            }
            Err(Trouble::Gone) => {}
        }
        search.forget(&path);
    }
    Outcome::Failed(watch.verdict())
}

/// A place among the wanted credentials, as it is told.
fn place(wanted: usize) -> u32 {
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

fn sensible(request: &Assert) -> bool {
    // A PIN belongs to one key: another would take it for a wrong one, and has but few tries.
    let most = if request.pin.is_some() {
        1
    } else {
        CREDENTIALS
    };
    (1..=most).contains(&request.wanted.len())
        && request.wanted.iter().all(|wanted| {
            wanted.rp_id.len() <= RP_ID
                && (1..=CREDENTIAL_ID).contains(&wanted.credential.0.len())
                && wanted.client_data.0.len() <= CLIENT_DATA
        })
}

/// A key with a wanted credential.
struct Found {
    path: String,
    key: Key,
    /// Which, by its place.
    wanted: usize,
}

/// An open key and the place of the wanted credential that it holds, or why there is none.
type Held = Result<(Key, usize), Trouble>;

/// What is known of a key that is plugged in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// A thread is looking at it, since then.
    Looking(Instant),
    /// It holds nothing that is wanted.
    Foreign,
    /// It makes no sense.
    Broken,
    /// Somebody else talks to it: to be looked at again.
    Busy,
}

impl Sight {
    /// Whether it lies, or says nothing for too long.
    fn makes_no_sense(&self) -> bool {
        match self {
            Self::Broken => true,
            Self::Looking(since) => since.elapsed() > SILENT,
            Self::Foreign | Self::Busy => false,
        }
    }
}

/// Looks at each key once, in a thread of its own: one that never answers keeps nobody from the others.
struct Search<'a> {
    wanted: &'a [Wanted],
    seen: BTreeMap<String, Sight>,
    sender: Sender<(String, Held)>,
    receiver: Receiver<(String, Held)>,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a [Wanted]) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            wanted,
            seen: BTreeMap::new(),
            sender,
            receiver,
        }
    }

    /// Looks at keys that are new, and waits a moment for what comes of it.
    fn look(&mut self, watch: &Watch) -> Option<Found> {
        let plugged = key::plugged();
        self.seen
            .retain(|path, _| plugged.iter().any(|plugged| plugged.path == *path));
        for plugged in plugged {
            if matches!(self.seen.get(&plugged.path), None | Some(Sight::Busy)) {
                self.probe(plugged);
            }
        }
        let found = self.hear(watch.left().min(GLANCE));
        if found.is_none() {
            self.report(watch);
        }
        found
    }

    fn probe(&mut self, plugged: Plugged) {
        self.seen
            .insert(plugged.path.clone(), Sight::Looking(Instant::now()));
        let sender = self.sender.clone();
        let wanted = self.wanted.to_vec();
        thread::spawn(move || {
            let held = catch_unwind(AssertUnwindSafe(|| holds(&plugged, &wanted)))
                .unwrap_or(Err(Trouble::Failed(Failure::Broken)));
            // Nobody listens any more once another key has been found.
            let _late = sender.send((plugged.path, held));
        });
    }

    fn hear(&mut self, patience: Duration) -> Option<Found> {
        let mut next = self.receiver.recv_timeout(patience).ok();
        while let Some((path, held)) = next {
            match held {
                Ok((key, wanted)) => return Some(Found { path, key, wanted }),
                Err(Trouble::Gone) => _ = self.seen.remove(&path),
                Err(Trouble::Failed(Failure::Busy)) => _ = self.seen.insert(path, Sight::Busy),
                Err(Trouble::Failed(Failure::Broken)) => {
                    self.seen.insert(path, Sight::Broken);
                }
                Err(Trouble::Failed(_)) => _ = self.seen.insert(path, Sight::Foreign),
            }
            next = self.receiver.try_recv().ok();
        }
        None
    }

    fn report(&self, watch: &Watch) {
        let any = |matches: fn(&Sight) -> bool| self.seen.values().any(matches);
        if self.seen.is_empty() {
            watch.obstacle(Progress::Absent);
        } else if any(|sight| *sight == Sight::Busy) {
            watch.obstacle(Progress::Busy);
        } else if any(Sight::makes_no_sense) {
            watch.obstacle(Progress::Broken);
        } else if !any(|sight| matches!(sight, Sight::Looking(_))) {
            watch.obstacle(Progress::Foreign);
        }
    }

    fn forget(&mut self, path: &str) {
        self.seen.remove(path);
        // A key that fails at once must not be asked at once again, for ever.
        thread::sleep(GLANCE);
    }
}

/// Which of the credentials the key holds: asked one by one, since keys differ in how many they take, and without a touch.
fn holds(plugged: &Plugged, wanted: &[Wanted]) -> Held {
    let key = Key::open(plugged)?;
    for (place, wanted) in wanted.iter().enumerate() {
        let arguments = GetAssertionArgsBuilder::new(&wanted.rp_id, PROBE)
            .credential_id(&wanted.credential.0)
            .without_pin_and_uv()
            .without_up()
            .build();
        match key.fido.get_assertion_with_args(&arguments) {
            Ok(_) => return Ok((key, place)),
            Err(error) => match trouble(&error.to_string()) {
                Trouble::Failed(Failure::Foreign) => {}
                other => return Err(other),
            },
        }
    }
    Err(Trouble::Failed(Failure::Foreign))
}

fn sign(watch: &Watch, found: Found, request: &Assert) -> Result<Assertion, Trouble> {
    let key = found.key;
    let wanted = request.wanted.get(found.wanted).ok_or(Trouble::Gone)?;
    let builder = GetAssertionArgsBuilder::new(&wanted.rp_id, &wanted.client_data.0)
        .credential_id(&wanted.credential.0);
    let verify = request.verify || wanted.verify;
    let plan = Verification::plan(&key, verify, request.pin.as_ref());
    let plan = plan.map_err(Trouble::Failed)?;
    let arguments = match plan {
        Verification::None => builder.without_pin_and_uv(),
        Verification::BuiltIn => builder,
        Verification::Pin(pin) => builder.pin(pin),
    }
    .build();
    watch.waits(key.waiting());
    let signed = key.fido.get_assertion_with_args(&arguments);
    watch.waits(None);
    let first = signed
        .map_err(|error| plan.explain(&key, trouble(&error.to_string())))?
        .into_iter()
        .next()
        .ok_or(Trouble::Failed(Failure::Broken))?;
    Ok(Assertion {
        wanted: place(found.wanted),
        auth_data: Bytes(first.auth_data),
        signature: Bytes(first.signature),
    })
}
