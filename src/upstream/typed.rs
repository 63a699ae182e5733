//! What a client sends on a socket that is not yet open at the rack. What is typed is dropped; what
//! matters is that somebody gives up, leaves, or asks whether the gateway is still there.

use std::mem::take;

use actix_http::ws::{OpCode, Parser, ProtocolError};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

/// Longest payload of a frame, in bytes. The CLI sends up to 1024.
const FRAME_MAX: usize = 16 << 10;
/// Most bytes of one client in all. Pings of ten minutes are less than a kilobyte.
const TOTAL_MAX: usize = 256 << 10;
/// Ctrl-C and Ctrl-D: the terminal is raw, so they come as bytes.
const GIVE_UP: [u8; 2] = [0x03, 0x04];

/// Reads frames off the client, keeping what is not yet a whole one.
#[derive(Debug, Default)]
pub(super) struct Typed {
    buffer: BytesMut,
    total: usize,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that matters.
    Nothing,
    /// It wants this back.
    Ping(Bytes),
    /// Ctrl-C, Ctrl-D, the end of the input, or a close frame.
    GivesUp,
    /// The connection has ended.
    Left,
    /// More than anybody types.
    TooMuch,
    /// No frames, or such as a rack could not be sent the rest of.
    Broken,
}

impl Typed {
    /// Hears the next that comes. Nothing is lost if it is dropped half-way.
    pub(super) async fn next(&mut self, payload: &mut Payload) -> Heard {
        match payload.next().await {
            Some(Ok(chunk)) => self.hear(&chunk),
            Some(Err(_)) | None => Heard::Left,
        }
    }

    /// What came after the last whole frame: the beginning of the next.
    pub(super) fn rest(&mut self) -> Bytes {
        take(&mut self.buffer).freeze()
    }

    fn hear(&mut self, chunk: &[u8]) -> Heard {
        self.total = self.total.saturating_add(chunk.len());
        if self.total > TOTAL_MAX {
            return Heard::TooMuch;
        }
        self.buffer.extend_from_slice(chunk);
        let mut heard = Heard::Nothing;
        loop {
            match Parser::parse(&mut self.buffer, true, FRAME_MAX) {
                Ok(Some((is_whole, opcode, payload))) => match of_frame(is_whole, opcode, payload) {
                    Heard::Nothing => {}
                    // Of several pings only the last needs an answer (RFC 6455 §5.5.3).
                    Heard::Ping(payload) => heard = Heard::Ping(payload),
                    end @ (Heard::GivesUp | Heard::Left | Heard::TooMuch | Heard::Broken) => return end,
                },
                // The parser waits for the end of a frame before it looks at its size.
                Ok(None) if self.buffer.len() > FRAME_MAX => return Heard::TooMuch,
                Ok(None) => return heard,
                Err(ProtocolError::Overflow) => return Heard::TooMuch,
                Err(_) => return Heard::Broken,
            }
        }
    }
}

/// A message in pieces is refused: its end could come when its beginning is dropped already, and the
/// rack would get half of it.
fn of_frame(is_whole: bool, opcode: OpCode, payload: Option<BytesMut>) -> Heard {
    let payload = payload.unwrap_or_default();
    match opcode {
        OpCode::Text | OpCode::Binary if !is_whole => Heard::Broken,
        OpCode::Binary if payload.is_empty() => Heard::GivesUp,
        OpCode::Text | OpCode::Binary if payload.iter().any(|byte| GIVE_UP.contains(byte)) => Heard::GivesUp,
        OpCode::Text | OpCode::Binary | OpCode::Pong => Heard::Nothing,
        OpCode::Ping => Heard::Ping(payload.freeze()),
        OpCode::Close => Heard::GivesUp,
        OpCode::Continue | OpCode::Bad => Heard::Broken,
    }
}

#[cfg(test)]
mod tests;
