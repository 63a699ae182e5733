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
    pub websocket: Option<Websocket>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub chunked: bool,
    pub body: Option<Data>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Data>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Websocket {
    pub frames: Vec<Frame>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Frame {
    pub dir: Side,
    pub fin: bool,
    pub opcode: u8,
    pub data: Option<Data>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Server,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Data {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    base64: Option<String>,
}

impl Data {
    pub fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(text)) => STANDARD.decode(text).unwrap(),
            other => panic!("body neither text nor base64: {other:?}"),
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
        let mask = self.dir == Side::Client;
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
