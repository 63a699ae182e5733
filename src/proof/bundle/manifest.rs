//! `manifest.json`: what an export says of itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::lines::is_numbered;
use crate::proof::chain::Hash;
use crate::proof::moment::Moment;
use crate::proof::tile::TileId;
use crate::proof::verify::{Code, Finding};

/// What the manifest says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) bytes: u64,
    pub(super) sha256: Hash,
}

#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) origin: String,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) made_at: Moment,
    pub(super) private: bool,
    pub(super) head: (u64, Hash),
    pub(super) files: BTreeMap<String, Listed>,
    /// Names that are listed twice.
    twice: Vec<String>,
}

impl Manifest {
    /// Reads it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let json: Json = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if json.at("v").and_then(Json::number) != Some(1) || json.at("kind").and_then(Json::text) != Some("export") {
            return Err("it is not that of an export of version 1".to_owned());
        }
        Self::of(&json).ok_or_else(|| "a field is missing, or not what it must be".to_owned())
    }

    fn of(json: &Json) -> Option<Self> {
        let head = json.at("head")?;
        let mut manifest = Self {
            origin: json.at("origin")?.text()?.to_owned(),
            first: json.at("first")?.number()?,
            last: json.at("last")?.number()?,
            made_at: Moment::parse(json.at("made_at")?.text()?)?,
            private: json.at("private")?.flag()?,
            head: (head.at("seq")?.number()?, digest(head.at("chain")?.text()?)?),
            files: BTreeMap::new(),
            twice: Vec::new(),
        };
        json.at("version")?.text()?;
        let Json::List(files) = json.at("files")? else { return None };
        files.iter().try_for_each(|file| manifest.list(file))?;
        Some(manifest)
    }

    fn list(&mut self, file: &Json) -> Option<()> {
        let name = file.at("name")?.text()?.to_owned();
        let listed = Listed { bytes: file.at("bytes")?.number()?, sha256: digest(file.at("sha256")?.text()?)? };
        if self.files.insert(name.clone(), listed).is_some() {
            self.twice.push(name);
        }
        Some(())
    }

    /// What is wrong with it by itself.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let twice = |name: &String| Finding::whole(Code::Manifest, format!("it lists {name:?} twice"));
        self.twice.iter().map(twice).collect()
    }
}

/// Whether an export may hold a file of that name.
pub(super) fn is_of_table(name: &str) -> bool {
    let folder = name.split_once('/').map(|(folder, _)| folder);
    match folder {
        Some("records" | "private" | "anchors") => is_numbered(name),
        Some("tile") => TileId::parse(name).is_some(),
        Some(_) => false,
        None => name == "trust.json",
    }
}

fn digest(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    (hex::encode(hash) == text).then_some(hash)
}

/// JSON in which no key is twice: two readers could believe two values.
#[derive(Debug)]
enum Json {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
    /// Null, fractions, negative numbers: nothing that a manifest needs.
    Other,
}

impl Json {
    fn at(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            Self::Flag(_) | Self::Number(_) | Self::Text(_) | Self::List(_) | Self::Other => None,
        }
    }

    const fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    const fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = items.next_entry::<String, Json>()? {
            if map.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
        }
        Ok(Json::Map(map))
    }
}
