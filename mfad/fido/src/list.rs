//! Which keys are plugged in. Nothing blinks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use mfad_protocol::fido::{self, Bytes, Outcome};

use crate::{
    key::{Key, Plugged, plugged},
    watch::Watch,
};

/// How long before the deadline the list is closed, with or without the keys that do not answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Asks each key what it can; one that does not answer is listed by its name.
pub(crate) fn list(watch: &Watch) -> Outcome {
    let plugged = plugged();
    let (sender, receiver) = mpsc::channel();
    for (place, key) in plugged.iter().cloned().enumerate() {
        let sender = sender.clone();
        thread::spawn(move || {
            let described = catch_unwind(AssertUnwindSafe(|| describe(&key)));
            let _late = sender.send((place, described.ok().flatten()));
        });
    }
    drop(sender);
    let mut keys: Vec<fido::Key> = plugged.into_iter().map(silent).collect();
    while let Ok((place, described)) = receiver.recv_timeout(watch.left().saturating_sub(MARGIN)) {
        if let (Some(key), Some(described)) = (keys.get_mut(place), described) {
            *key = described;
        }
    }
    Outcome::Keys(keys)
}

fn silent(plugged: Plugged) -> fido::Key {
    fido::Key {
        product: plugged.product,
        aaguid: None,
        pin: false,
        verifies: false,
    }
}

fn describe(plugged: &Plugged) -> Option<fido::Key> {
    let key = Key::open(plugged).ok()?;
    Some(fido::Key {
        product: plugged.product.clone(),
        aaguid: Some(Bytes(key.abilities.aaguid.clone())),
        pin: key.abilities.pin,
        verifies: key.abilities.verifies,
    })
}
