//! The recorded traffic of the real CLI, as bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// One request of the CLI and what a rack answered.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    pub id: String,
    pub argv: Vec<String>,
    pub request: Request,
    pub response: Response,
    /// Frames after an upgrade.
    #[serde(default)]
    pub frames: Option<Vec<Frame>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    #[serde(default)]
    pub chunked: bool,
    #[serde(default)]
    pub body: Option<Data>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    #[serde(default)]
    pub body: Option<Data>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Frame {
    pub from: Side,
    pub fin: bool,
    pub opcode: u8,
    #[serde(default)]
    pub data: Option<Data>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Server,
}

/// The bytes of a body or a frame, in the three ways in which the recording holds them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Data {
    Text(String),
    Base64 { base64: String },
    Repeat { repeat: String, times: usize },
}

impl Data {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Base64 { base64 } => STANDARD.decode(base64).unwrap(),
            Self::Repeat { repeat, times } => repeat.repeat(*times).into_bytes(),
        }
    }
}

pub fn bytes(data: Option<&Data>) -> Vec<u8> {
    data.map(Data::bytes).unwrap_or_default()
}

impl Frame {
    /// On the wire (RFC 6455 §5.2); a client masks.
    pub fn encode(&self) -> Vec<u8> {
        let payload = bytes(self.data.as_ref());
        let mask = self.from == Side::Client;
        let mut out = vec![self.opcode | if self.fin { 0x80 } else { 0 }];
        let bit = if mask { 0x80 } else { 0 };
        match payload.len() {
            len @ 0..=125 => out.push(bit | u8::try_from(len).unwrap()),
            len @ 126..=0xffff => {
                out.push(bit | 126);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                out.push(bit | 127);
                out.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        let key = [0x37, 0xfa, 0x21, 0x3d];
        if mask {
            out.extend(key);
        }
        out.extend(payload.iter().enumerate().map(|(i, byte)| if mask { byte ^ key[i % 4] } else { *byte }));
        out
    }
}

/// All of them, in the order of recording.
pub fn exchanges() -> Vec<Exchange> {
    let text = include_str!("../../fixtures/cli/exchanges.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:.200}"))).collect()
}
