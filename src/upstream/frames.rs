//! Websocket frames (RFC 6455 §5.2), as far as a relay of raw bytes needs them: where one ends, and
//! how to say the last word.

use bytes::{BufMut as _, Bytes, BytesMut};

/// A frame with this text and a number ends a command: the CLI exits with the number.
const EXIT_CODE: &str = "F1E49A85-0AD7-4AEF-A618-C249C6E6568D";

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xa;

/// Longest head of a frame: two bytes, eight of length, four of mask.
const HEAD_MAX: usize = 14;

/// Follows a stream of frames without changing or keeping it. Any bytes are frames to it: it never
/// fails, and on bytes that are not frames it is merely of no use.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    head: [u8; HEAD_MAX],
    have: usize,
    payload_left: u64,
    in_message: bool,
    ended: bool,
}

impl Scanner {
    /// Follows all of `bytes`.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.follow_frame(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Follows `bytes` to the end of the frame that they begin with or continue; returns how many
    /// that are, at least one.
    pub(super) fn follow_frame(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            if self.payload_left > 0 {
                let rest = bytes.len().saturating_sub(taken);
                let skip = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(rest);
                self.payload_left = self.payload_left.saturating_sub(u64::try_from(skip).unwrap_or(u64::MAX));
                return taken.saturating_add(skip);
            }
            taken = taken.saturating_add(1);
            if self.head_byte(*byte) && self.payload_left == 0 {
                break;
            }
        }
        taken
    }

    /// Whether a whole number of frames was followed.
    pub(super) const fn is_at_boundary(&self) -> bool {
        self.have == 0 && self.payload_left == 0
    }

    /// Whether a message of several frames has begun and not ended.
    pub(super) const fn is_in_message(&self) -> bool {
        self.in_message
    }

    /// Whether the rack has said its last: an empty binary message, or a close frame.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Adds a byte of a head; true if the head is complete.
    fn head_byte(&mut self, byte: u8) -> bool {
        if let Some(slot) = self.head.get_mut(self.have) {
            *slot = byte;
        }
        self.have = self.have.saturating_add(1);
        let [first, second, l0, l1, l2, l3, l4, l5, l6, l7, ..] = self.head;
        let (length_bytes, length) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes([l0, l1]))),
            127 => (8, u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7])),
            short => (0, u64::from(short)),
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 || self.have < 2 + length_bytes + mask_bytes {
            return false;
        }
        self.have = 0;
        self.payload_left = length;
        self.note(first, length);
        true
    }

    fn note(&mut self, first: u8, length: u64) {
        let is_final = first & 0x80 != 0;
        match first & 0x0f {
            CONTINUATION | TEXT => self.in_message = !is_final,
            BINARY => {
                self.in_message = !is_final;
                self.ended |= is_final && length == 0;
            }
            CLOSE => self.ended = true,
            _ => {}
        }
    }
}

fn put_frame(to: &mut BytesMut, opcode: u8, payload: &[u8]) {
    to.put_u8(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => to.put_u8(short),
        Ok(_) | Err(_) => {
            if let Ok(length) = u16::try_from(payload.len()) {
                to.put_u8(126);
                to.put_u16(length);
            } else {
                to.put_u8(127);
                to.put_u64(u64::try_from(payload.len()).unwrap_or(u64::MAX));
            }
        }
    }
    to.put_slice(payload);
}

/// A frame of text on the way to the client.
pub(super) fn text(text: &str) -> Bytes {
    let mut frame = BytesMut::new();
    put_frame(&mut frame, TEXT, text.as_bytes());
    frame.freeze()
}

/// The answer to a ping, which carries what the ping carried (RFC 6455 §5.5.3).
pub(super) fn pong(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    put_frame(&mut frame, PONG, payload);
    frame.freeze()
}

/// The last word of the gateway: text if any, the exit code if the CLI expects one, each in its own
/// frame (the CLI reads a number to the end of the frame), then the end of the stream.
pub(super) fn farewell(in_message: bool, text: Option<&str>, exit: Option<u8>) -> Bytes {
    let mut frames = BytesMut::new();
    if in_message {
        put_frame(&mut frames, CONTINUATION, b"");
    }
    if let Some(text) = text {
        put_frame(&mut frames, TEXT, text.as_bytes());
    }
    if let Some(code) = exit {
        put_frame(&mut frames, TEXT, format!("{EXIT_CODE}:{code}\n").as_bytes());
    }
    put_frame(&mut frames, BINARY, b"");
    frames.freeze()
}

#[cfg(test)]
mod tests;
