//! An answer of the rack as JSON: fields in their order, no field twice, written as the rack writes it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Number;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object; the fields in their order, each once.
    Map(Vec<(String, Node)>),
}

/// That something is not JSON, or has a field twice: nothing of it is repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rack's answer is not JSON that can be read in one way only")]
pub struct Unreadable;

impl Node {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(text).map_err(|_| Unreadable)
    }

    /// As Go's `json.MarshalIndent` writes it, with two spaces and a line break at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let mut out = String::with_capacity(text.len().saturating_add(1));
        for letter in text.chars() {
            match letter {
                '<' => out.push_str("\\u003c"),
                '>' => out.push_str("\\u003e"),
                '&' => out.push_str("\\u0026"),
                '\u{2028}' => out.push_str("\\u2028"),
                '\u{2029}' => out.push_str("\\u2029"),
                letter => out.push(letter),
            }
        }
        out.push('\n');
        out
    }

    /// The objects of an answer: itself, or those of a list.
    pub fn items(&mut self) -> &mut [Self] {
        match self {
            Self::List(items) => items,
            one => std::slice::from_mut(one),
        }
    }

    /// A field of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A field of an object, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Map(fields) => fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a field that is one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((name, value)) = map.next_entry::<String, Node>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom("a field is there twice"));
            }
            fields.push((name, value));
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_written_as_it_was_read() {
        let text = concat!(
            "{\n  \"z\": 1,\n  \"a\": [\n    null,\n    true,\n    0.1,\n    -5,\n    18446744073709551615\n  ],\n",
            "  \"text\": \"a\\u0026b \\u003cc\\u003e \\\" \\\\ \\n é\",\n  \"empty\": {},\n  \"none\": []\n}\n",
        );
        assert_eq!(Node::parse(text.as_bytes()).map(|node| node.to_text()), Ok(text.to_owned()));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for text in ["", "ok\n", "{\"a\":1,\"a\":2}", "{\"x\":{\"a\":1,\"\\u0061\":2}}", "{} {}", "[1,]", "\u{feff}{}"]
        {
            assert_eq!(Node::parse(text.as_bytes()), Err(Unreadable), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Node::parse(deep.as_bytes()), Err(Unreadable));
    }
}
