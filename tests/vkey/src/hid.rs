//! CTAPHID (CTAP 2.1 §11.2): channels, messages out of reports and reports out of messages. Hands whole commands to the
//! authenticator, and misbehaves where the script says so.

use std::{collections::VecDeque, time::Duration};

use crate::{
    authenticator::{Authenticator, MESSAGE, Progress},
    script::Fault,
    status::Status,
};

/// Bytes of a report, either way.
pub const REPORT: usize = 64;

const BROADCAST: u32 = 0xffff_ffff;
const FIRST_DATA: usize = REPORT - 7;
const NEXT_DATA: usize = REPORT - 5;
/// How often a waiting key says that it waits.
const KEEPALIVE_EVERY: Duration = Duration::from_millis(100);
/// How long the rest of a message may take (§11.2.5.1 has 500 ms at least).
const PATIENCE: Duration = Duration::from_secs(3);
/// Reports waiting to be fetched; more are dropped, as hidraw drops them.
const QUEUED: usize = 2048;

const PING: u8 = 0x81;
const INIT: u8 = 0x86;
const WINK: u8 = 0x88;
const CBOR: u8 = 0x90;
const CANCEL: u8 = 0x91;
const KEEPALIVE: u8 = 0xbb;
const ERROR: u8 = 0xbf;

const PROCESSING: u8 = 1;
const UP_NEEDED: u8 = 2;

const INVALID_COMMAND: u8 = 0x01;
const INVALID_LENGTH: u8 = 0x03;
const INVALID_SEQUENCE: u8 = 0x04;
const MESSAGE_TIMEOUT: u8 = 0x05;
const CHANNEL_BUSY: u8 = 0x06;
const INVALID_CHANNEL: u8 = 0x0b;

/// Winks, speaks CBOR, speaks no U2F (§11.2.9.1.3).
const CAPABILITIES: u8 = 0x01 | 0x04 | 0x08;

/// What the key is at.
#[derive(Debug)]
enum State {
    Idle,
    /// A message is coming in.
    Receiving {
        channel: u32,
        command: u8,
        length: usize,
        data: Vec<u8>,
        sequence: u8,
        since: Duration,
    },
    /// A command waits for a touch, or pretends to.
    Waiting {
        channel: u32,
        told: Duration,
        forever: bool,
    },
}

/// The transport's side of a key.
#[derive(Debug)]
pub(crate) struct Hid {
    state: State,
    channels: u32,
    outgoing: VecDeque<[u8; REPORT]>,
    pub(crate) winks: u32,
}

impl Hid {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Idle,
            channels: 0,
            outgoing: VecDeque::new(),
            winks: 0,
        }
    }

    /// Whether anything happens by itself as time passes.
    pub(crate) const fn works(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// The oldest report that waits to be fetched.
    pub(crate) fn take(&mut self) -> Option<[u8; REPORT]> {
        self.outgoing.pop_front()
    }

    /// Takes a report.
    pub(crate) fn receive(
        &mut self,
        report: &[u8; REPORT],
        key: &mut Authenticator,
        now: Duration,
    ) {
        let [a, b, c, d, command, rest @ ..] = report;
        let channel = u32::from_be_bytes([*a, *b, *c, *d]);
        if command & 0x80 == 0 {
            return self.continuation(channel, *command, rest, key, now);
        }
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let data = rest[2..].to_vec();
        match *command {
            INIT if length == 8 && (channel == BROADCAST || self.known(channel)) => {
                self.init(channel, &data[..8], key);
            }
            _ if !self.known(channel) => self.error(channel, INVALID_CHANNEL),
            INIT => self.error(channel, INVALID_LENGTH),
            CANCEL => self.cancel(channel, key),
            _ if self.busy_for(channel) => self.error(channel, CHANNEL_BUSY),
            _ if length > usize::from(MESSAGE) => self.error(channel, INVALID_LENGTH),
            command => {
                self.state = State::Receiving {
                    channel,
                    command,
                    length,
                    data,
                    sequence: 0,
                    since: now,
                };
                self.perhaps_whole(key, now);
            }
        }
    }

    fn continuation(
        &mut self,
        from: u32,
        number: u8,
        more: &[u8],
        key: &mut Authenticator,
        now: Duration,
    ) {
        let State::Receiving {
            channel,
            data,
            sequence,
            ..
        } = &mut self.state
        else {
            return;
        };
        // Stray packets of other channels are ignored (§11.2.5.4).
        if *channel != from {
            return;
        }
        if *sequence != number {
            self.state = State::Idle;
            return self.error(from, INVALID_SEQUENCE);
        }
        *sequence += 1;
        data.extend(&more[..NEXT_DATA]);
        self.perhaps_whole(key, now);
    }

    fn perhaps_whole(&mut self, key: &mut Authenticator, now: Duration) {
        let State::Receiving {
            channel,
            command,
            length,
            data,
            ..
        } = &mut self.state
        else {
            return;
        };
        if data.len() < *length {
            return;
        }
        data.truncate(*length);
        let (channel, command, data) = (*channel, *command, std::mem::take(data));
        self.state = State::Idle;
        match command {
            PING => self.send(channel, PING, &data),
            WINK if data.is_empty() => {
                self.winks = self.winks.saturating_add(1);
                self.send(channel, WINK, &[]);
            }
            CBOR if data.is_empty() => self.error(channel, INVALID_LENGTH),
            CBOR => self.cbor(channel, &data, key, now),
            // MSG too: without U2F there are no messages.
            _ => self.error(channel, INVALID_COMMAND),
        }
    }

    fn cbor(&mut self, channel: u32, request: &[u8], key: &mut Authenticator, now: Duration) {
        const GET_INFO: u8 = 0x04;
        if request.first() != Some(&GET_INFO) {
            match key.script.fault {
                Fault::ErrorZero => return self.error(channel, 0),
                Fault::Busy => return self.error(channel, CHANNEL_BUSY),
                Fault::Silence => return,
                Fault::EndlessKeepalive => return self.wait(channel, true, now),
                Fault::Oversize => return self.oversize(channel),
                _ => {}
            }
        }
        match key.begin(request, now) {
            Progress::Done(reply) if request.first() == Some(&GET_INFO) => {
                self.send(channel, CBOR, &reply);
            }
            progress => self.answer(channel, progress, key.script.fault, now),
        }
    }

    fn answer(&mut self, channel: u32, progress: Progress, fault: Fault, now: Duration) {
        let sent = self.outgoing.len();
        let channel_told = if fault == Fault::ForeignChannel {
            channel ^ 0x0100_0000
        } else {
            channel
        };
        match progress {
            Progress::Done(reply) if reply.len() > usize::from(MESSAGE) => {
                self.send(channel_told, CBOR, &[Status::REQUEST_TOO_LARGE.0]);
            }
            Progress::Done(reply) => self.send(channel_told, CBOR, &reply),
            Progress::Touch => self.wait(channel, false, now),
        }
        if fault == Fault::WrongSequence {
            for report in self.outgoing.range_mut(sent..) {
                if report[4] & 0x80 == 0 {
                    report[4] ^= 0x40;
                }
            }
        }
    }

    fn wait(&mut self, channel: u32, forever: bool, now: Duration) {
        self.keepalive(channel, forever);
        self.state = State::Waiting {
            channel,
            told: now,
            forever,
        };
    }

    fn keepalive(&mut self, channel: u32, forever: bool) {
        let status = if forever { PROCESSING } else { UP_NEEDED };
        self.send(channel, KEEPALIVE, &[status]);
    }

    /// Lets time pass: touches come, keepalives go, half messages are forgotten.
    pub(crate) fn tick(&mut self, key: &mut Authenticator, now: Duration) {
        match self.state {
            State::Idle => {}
            State::Receiving { channel, since, .. } => {
                if now.saturating_sub(since) > PATIENCE {
                    self.state = State::Idle;
                    self.error(channel, MESSAGE_TIMEOUT);
                }
            }
            State::Waiting {
                channel,
                told,
                forever,
            } => {
                if !forever && let done @ Progress::Done(_) = key.resume(now) {
                    self.state = State::Idle;
                    return self.answer(channel, done, key.script.fault, now);
                }
                if now.saturating_sub(told) >= KEEPALIVE_EVERY {
                    self.wait(channel, forever, now);
                }
            }
        }
    }

    fn init(&mut self, channel: u32, nonce: &[u8], key: &mut Authenticator) {
        let given = if channel == BROADCAST {
            self.channels += 1;
            self.channels
        } else {
            // On a channel of its own it means: forget what you are at.
            if self.at(channel) {
                self.state = State::Idle;
                let _ = key.cancel();
            }
            channel
        };
        let mut reply = nonce.to_vec();
        reply.extend(given.to_be_bytes());
        // Version 2 of the protocol; the device's own version.
        reply.extend([2, 1, 0, 0, CAPABILITIES]);
        self.send(channel, INIT, &reply);
    }

    /// No reply of its own: what it ends says so.
    fn cancel(&mut self, channel: u32, key: &mut Authenticator) {
        let stoppable = matches!(self.state, State::Waiting { forever: false, .. });
        if stoppable
            && self.at(channel)
            && let Some(reply) = key.cancel()
        {
            self.state = State::Idle;
            self.send(channel, CBOR, &reply);
        }
    }

    fn known(&self, channel: u32) -> bool {
        (1..=self.channels).contains(&channel)
    }

    /// Whether the key is at something for this channel.
    fn at(&self, channel: u32) -> bool {
        match self.state {
            State::Idle => false,
            State::Receiving { channel: at, .. } | State::Waiting { channel: at, .. } => {
                at == channel
            }
        }
    }

    /// Whether something is under way that a message of `channel` must not disturb.
    fn busy_for(&self, channel: u32) -> bool {
        match self.state {
            State::Idle => false,
            State::Waiting { .. } => true,
            State::Receiving { channel: at, .. } => at != channel,
        }
    }

    fn error(&mut self, channel: u32, code: u8) {
        self.send(channel, ERROR, &[code]);
    }

    fn oversize(&mut self, channel: u32) {
        let message = vec![0x5a; usize::from(u16::MAX)];
        self.send(channel, CBOR, &message);
    }

    fn send(&mut self, channel: u32, command: u8, message: &[u8]) {
        let [.., high, low] = message.len().to_be_bytes();
        let (first, rest) = message.split_at(message.len().min(FIRST_DATA));
        self.push(channel, &[command, high, low], first);
        for (number, part) in (0u8..0x80).cycle().zip(rest.chunks(NEXT_DATA)) {
            self.push(channel, &[number], part);
        }
    }

    fn push(&mut self, channel: u32, head: &[u8], data: &[u8]) {
        let mut report = [0; REPORT];
        let bytes = channel.to_be_bytes().into_iter();
        let bytes = bytes
            .chain(head.iter().copied())
            .chain(data.iter().copied());
        for (place, byte) in report.iter_mut().zip(bytes) {
            *place = byte;
        }
        if self.outgoing.len() < QUEUED {
            self.outgoing.push_back(report);
        }
    }
}
