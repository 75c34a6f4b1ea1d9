//! CBOR as CTAP uses it: reads maps with small keys, writes them in the order given, which must be CTAP's canonical one
//! (CTAP 2.1 §8). Knows no command.

use ciborium::Value;

use crate::status::Status;

/// A map from a request, asked for its entries one by one.
#[derive(Debug, Clone)]
pub(crate) struct Map(Vec<(Value, Value)>);

impl Map {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Status> {
        let value = ciborium::from_reader(bytes).map_err(|_| Status::INVALID_CBOR)?;
        Self::of(value)
    }

    pub(crate) fn of(value: Value) -> Result<Self, Status> {
        value
            .into_map()
            .map(Self)
            .map_err(|_| Status::UNEXPECTED_TYPE)
    }

    /// The entry with this key, a number or a text.
    pub(crate) fn get(&self, key: impl Into<Value>) -> Option<&Value> {
        let key = key.into();
        self.0
            .iter()
            .find_map(|(found, value)| (*found == key).then_some(value))
    }

    pub(crate) fn bytes(&self, key: impl Into<Value>) -> Result<Option<&[u8]>, Status> {
        self.typed(key, |value| value.as_bytes().map(Vec::as_slice))
    }

    pub(crate) fn text(&self, key: impl Into<Value>) -> Result<Option<&str>, Status> {
        self.typed(key, Value::as_text)
    }

    pub(crate) fn flag(&self, key: impl Into<Value>) -> Result<Option<bool>, Status> {
        self.typed(key, Value::as_bool)
    }

    pub(crate) fn number(&self, key: impl Into<Value>) -> Result<Option<i128>, Status> {
        self.typed(key, |value| value.as_integer().map(i128::from))
    }

    pub(crate) fn list(&self, key: impl Into<Value>) -> Result<&[Value], Status> {
        let found = self.typed(key, |value| value.as_array().map(Vec::as_slice))?;
        Ok(found.unwrap_or_default())
    }

    /// The map below this key; an empty one where there is none.
    pub(crate) fn map(&self, key: impl Into<Value>) -> Result<Self, Status> {
        let found = self.typed(key, |value| value.as_map().cloned())?;
        Ok(Self(found.unwrap_or_default()))
    }

    fn typed<'a, T>(
        &'a self,
        key: impl Into<Value>,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Status> {
        self.get(key)
            .map(|value| read(value).ok_or(Status::UNEXPECTED_TYPE))
            .transpose()
    }
}

/// Its value, or the refusal for a parameter that must be there.
pub(crate) fn needed<T>(found: Option<T>) -> Result<T, Status> {
    found.ok_or(Status::MISSING_PARAMETER)
}

/// A map of these entries, in this order.
pub(crate) fn map<K: Into<Value>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect(),
    )
}

/// A byte string.
pub(crate) fn bytes(of: &[u8]) -> Value {
    Value::Bytes(of.to_vec())
}

/// The bytes of a value.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory does not fail; were it to, the reply would be empty, which nobody accepts.
    let _ = ciborium::into_writer(value, &mut out);
    out
}
