//! D-Bus messages as bytes (D-Bus specification, "Marshaling"): written from JSON by a signature, and read into JSON. It
//! knows the types that our interfaces use, and opens no socket.

use serde_json::{Map, Value, json};

/// Type of a message that is a call.
pub(crate) const CALL: u8 = 1;
/// Type of a message that answers one.
pub(crate) const RETURN: u8 = 2;
/// Type of a message that refuses one.
pub(crate) const ERROR: u8 = 3;

/// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Bytes of the part of a header that says how long the message is.
pub(crate) const FIXED: usize = 16;

/// What is called.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Bus name; none on a connection of two.
    pub(crate) destination: Option<String>,
    /// Object.
    pub(crate) path: String,
    /// Interface.
    pub(crate) interface: String,
    /// Method.
    pub(crate) member: String,
    /// Types of the arguments.
    pub(crate) signature: String,
    /// The arguments.
    pub(crate) arguments: Vec<Value>,
}

/// A message as received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// [`RETURN`], [`ERROR`] or another.
    pub(crate) kind: u8,
    /// Serial of the call that it answers.
    pub(crate) answers: u32,
    /// Name of the error.
    pub(crate) error: String,
    /// What it carries.
    pub(crate) body: Vec<Value>,
}

/// A call, ready to send. `None` if the arguments do not fit the signature.
pub(crate) fn call(call: &Call, serial: u32) -> Option<Vec<u8>> {
    let mut body = Out::default();
    let types = split(&call.signature)?;
    if types.len() != call.arguments.len() {
        return None;
    }
    for (kind, value) in types.iter().zip(&call.arguments) {
        body.put(kind, value)?;
    }
    let mut fields = vec![
        (PATH, "o", json!(call.path)),
        (INTERFACE, "s", json!(call.interface)),
        (MEMBER, "s", json!(call.member)),
        (SIGNATURE, "g", json!(call.signature)),
    ];
    if let Some(destination) = &call.destination {
        fields.push((DESTINATION, "s", json!(destination)));
    }
    let mut out = Out::default();
    out.0.extend([b'l', CALL, 0, 1]);
    out.word(u32::try_from(body.0.len()).ok()?);
    out.word(serial);
    out.array(8, |out| {
        for (code, kind, value) in &fields {
            out.pad(8);
            out.0.push(*code);
            out.put("g", &json!(kind))?;
            out.put(kind, value)?;
        }
        Some(())
    })?;
    out.pad(8);
    out.0.extend(body.0);
    Some(out.0)
}

/// How long the message is that these [`FIXED`] bytes begin. `None` if they begin none.
pub(crate) fn length(fixed: &[u8]) -> Option<usize> {
    let mut input = In {
        bytes: fixed,
        at: 4,
    };
    let body = input.word()?;
    let mut input = In {
        bytes: fixed,
        at: 12,
    };
    let fields = usize::try_from(input.word()?).ok()?;
    let header = FIXED.checked_add(fields)?.checked_next_multiple_of(8)?;
    (fixed.first() == Some(&b'l')).then_some(header.checked_add(usize::try_from(body).ok()?)?)
}

/// A whole message. `None` if it makes no sense.
pub(crate) fn read(bytes: &[u8]) -> Option<Received> {
    let mut input = In { bytes, at: 12 };
    let fields = input.take("a(yv)")?;
    input.pad(8);
    let (mut error, mut answers, mut signature) = (String::new(), 0, String::new());
    for field in fields.as_array()? {
        let value = &field[1];
        match u8::try_from(field[0].as_u64()?).ok()? {
            ERROR_NAME => value.as_str()?.clone_into(&mut error),
            REPLY_SERIAL => answers = u32::try_from(value.as_u64()?).ok()?,
            SIGNATURE => value.as_str()?.clone_into(&mut signature),
            _ => {}
        }
    }
    // Alignment counts from the beginning of the body, which lies at a multiple of 8.
    let body = split(&signature)?
        .iter()
        .map(|kind| input.take(kind))
        .collect::<Option<_>>()?;
    Some(Received {
        kind: *bytes.get(1)?,
        answers,
        error,
        body,
    })
}

/// The single complete types of a signature.
fn split(signature: &str) -> Option<Vec<&str>> {
    let mut types = Vec::new();
    let mut rest = signature;
    while !rest.is_empty() {
        let (one, others) = rest.split_at_checked(single(rest)?)?;
        types.push(one);
        rest = others;
    }
    Some(types)
}

/// How long the first single complete type is.
fn single(signature: &str) -> Option<usize> {
    let close = match signature.bytes().next()? {
        b'a' => return Some(1 + single(signature.get(1..)?)?),
        b'(' => b')',
        b'{' => b'}',
        _ => return Some(1),
    };
    let mut at = 1;
    while *signature.as_bytes().get(at)? != close {
        at += single(signature.get(at..)?)?;
    }
    Some(at + 1)
}

const fn alignment(kind: u8) -> usize {
    match kind {
        b'y' | b'g' | b'v' => 1,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 4,
    }
}

/// What is written.
#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn pad(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn word(&mut self, value: u32) {
        self.pad(4);
        self.0.extend(value.to_le_bytes());
    }

    fn array(&mut self, align: usize, fill: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.word(0);
        let place = self.0.len() - 4;
        self.pad(align);
        let begin = self.0.len();
        fill(self)?;
        let length = u32::try_from(self.0.len() - begin).ok()?;
        self.0
            .get_mut(place..place + 4)?
            .copy_from_slice(&length.to_le_bytes());
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.word(u32::try_from(text.len()).ok()?);
        self.0.extend(text.bytes().chain([0]));
        Some(())
    }

    /// Writes a value of this type. Dictionaries are from texts to variants; an array of bytes is a JSON text.
    fn put(&mut self, kind: &str, value: &Value) -> Option<()> {
        match kind {
            "s" | "o" => self.text(value.as_str()?),
            "g" => {
                let text = value.as_str()?;
                self.0.push(u8::try_from(text.len()).ok()?);
                self.0.extend(text.bytes().chain([0]));
                Some(())
            }
            "u" => {
                self.word(u32::try_from(value.as_u64()?).ok()?);
                Some(())
            }
            "b" => {
                self.word(u32::from(value.as_bool()?));
                Some(())
            }
            "ay" => {
                let bytes = value.as_str()?;
                self.array(1, |out| {
                    out.0.extend(bytes.bytes());
                    Some(())
                })
            }
            "v" => {
                let kind = match value {
                    Value::Bool(_) => "b",
                    Value::Number(_) => "u",
                    _ => "s",
                };
                self.put("g", &json!(kind))?;
                self.put(kind, value)
            }
            "a{sv}" => self.array(8, |out| {
                value.as_object()?.iter().try_for_each(|(key, value)| {
                    out.pad(8);
                    out.text(key)?;
                    out.put("v", value)
                })
            }),
            _ => {
                let of = kind.strip_prefix('a')?;
                let values = value.as_array()?;
                self.array(alignment(*of.as_bytes().first()?), |out| {
                    values.iter().try_for_each(|value| out.put(of, value))
                })
            }
        }
    }
}

/// What is read.
struct In<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl In<'_> {
    fn pad(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        self.pad(4);
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(length)?).into_owned();
        self.bytes(1)?;
        Some(text)
    }

    fn take(&mut self, kind: &str) -> Option<Value> {
        Some(match kind {
            "s" | "o" => {
                let length = usize::try_from(self.word()?).ok()?;
                self.text(length)?.into()
            }
            "g" => {
                let length = usize::from(*self.bytes(1)?.first()?);
                self.text(length)?.into()
            }
            "y" => (*self.bytes(1)?.first()?).into(),
            "u" | "h" => self.word()?.into(),
            "b" => (self.word()? != 0).into(),
            "x" | "t" => {
                self.pad(8);
                let number = i64::from_le_bytes(self.bytes(8)?.try_into().ok()?);
                number.into()
            }
            "v" => {
                let kind = self.take("g")?;
                self.take(kind.as_str()?)?
            }
            _ if kind.starts_with("a{") => {
                let (mut map, end) = (Map::new(), self.array(8)?);
                while self.at < end {
                    self.pad(8);
                    let key = self.take("s")?.as_str()?.to_owned();
                    let value = self.take(kind.get(3..kind.len() - 1)?)?;
                    map.insert(key, value);
                }
                map.into()
            }
            _ if kind.starts_with('a') => {
                let of = kind.get(1..)?;
                let (mut list, end) = (Vec::new(), self.array(alignment(*of.as_bytes().first()?))?);
                while self.at < end {
                    list.push(self.take(of)?);
                }
                list.into()
            }
            _ if kind.starts_with('(') => {
                self.pad(8);
                split(kind.get(1..kind.len() - 1)?)?
                    .iter()
                    .map(|kind| self.take(kind))
                    .collect::<Option<Vec<_>>>()?
                    .into()
            }
            _ => return None,
        })
    }

    /// Where the array ends that begins here.
    fn array(&mut self, align: usize) -> Option<usize> {
        let length = usize::try_from(self.word()?).ok()?;
        self.pad(align);
        let end = self.at.checked_add(length)?;
        (end <= self.bytes.len()).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let arguments = vec![
            json!({"protocol": 1, "service": "sshd", "decoy": true}),
            json!([]),
            json!(["123456", ""]),
        ];
        let bytes = call(
            &Call {
                destination: Some("org.mfad.Mfad1".to_owned()),
                path: "/org/mfad/Mfad1".to_owned(),
                interface: "org.mfad.Mfad1.Authentication".to_owned(),
                member: "Begin".to_owned(),
                signature: "a{sv}ahas".to_owned(),
                arguments: arguments.clone(),
            },
            7,
        )
        .unwrap();
        assert_eq!(length(&bytes[..FIXED]), Some(bytes.len()));
        let read = read(&bytes).unwrap();
        assert_eq!((read.kind, read.body), (CALL, arguments));
    }

    #[test]
    fn signatures_are_split_at_whole_types() {
        assert_eq!(
            split("a{sv}aaya(xxs)s"),
            Some(vec!["a{sv}", "aay", "a(xxs)", "s"])
        );
        assert_eq!(split("a(x"), None);
    }

    #[test]
    fn what_does_not_fit_its_type_or_ends_early_is_refused() {
        let mut out = Out::default();
        assert!(out.put("u", &json!("one")).is_none());
        assert!(read(&[b'l', 2, 0, 1, 9, 0, 0, 0, 1, 0, 0, 0, 200, 0, 0, 0]).is_none());
    }
}
