//! Websocket frames as gorilla writes them: text frames carry any bytes, long messages are
//! fragmented.

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

/// gorilla's write buffer in `stdapi`, without room for a header.
const BUFFER: usize = 10 * 1024;
/// gorilla sends what is longer than two buffers (headers included) unbuffered, as one frame that
/// is not the last, and then an empty last one.
const UNBUFFERED: usize = 2 * (BUFFER + 14);

/// The frames of one text message.
pub(super) fn text(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 32);
    if data.len() > UNBUFFERED {
        Parser::write_message(&mut out, data, OpCode::Text, false, false);
        Parser::write_message(&mut out, [], OpCode::Continue, true, false);
        return out.freeze();
    }
    let mut opcode = OpCode::Text;
    let mut pieces = data.chunks(BUFFER).peekable();
    if pieces.peek().is_none() {
        Parser::write_message(&mut out, [], opcode, true, false);
    }
    while let Some(piece) = pieces.next() {
        Parser::write_message(&mut out, piece, opcode, pieces.peek().is_none(), false);
        opcode = OpCode::Continue;
    }
    out.freeze()
}

/// The empty binary frame that ends a direction.
pub(super) fn end() -> Bytes {
    single(OpCode::Binary, &[])
}

/// A control frame.
pub(super) fn single(opcode: OpCode, data: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    Parser::write_message(&mut out, data, opcode, true, false);
    out.freeze()
}
