//! What a client may send while it waits, cut at every place.

use super::*;

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0xa5, 0x00, 0xff, 0x5a];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn cases() -> Vec<(&'static str, Vec<u8>, Heard)> {
    let ping = |text: &'static str| Heard::Ping(Bytes::from_static(text.as_bytes()));
    vec![
        ("typed", frame(0x81, b"rm -rf /\r"), Heard::Nothing),
        ("typed, not text", frame(0x81, &[0xff, 0xfe, 0x80, 0x00]), Heard::Nothing),
        ("typed, binary", frame(0x82, b"x"), Heard::Nothing),
        ("nothing typed", frame(0x81, b""), Heard::Nothing),
        ("pasted", frame(0x81, &[b'a'; 1024]), Heard::Nothing),
        ("pong", frame(0x8a, b"\x03"), Heard::Nothing),
        ("ping", frame(0x89, b""), ping("")),
        ("ping with a payload", frame(0x89, b"\x03here"), ping("\u{3}here")),
        ("two pings", [frame(0x89, b"one"), frame(0x81, b"x"), frame(0x89, b"two")].concat(), ping("two")),
        ("ctrl-c", frame(0x81, b"\x03"), Heard::GivesUp),
        ("ctrl-d", frame(0x81, b"\x04"), Heard::GivesUp),
        ("ctrl-c among others", frame(0x82, b"abc\x03def"), Heard::GivesUp),
        ("ctrl-c behind a ping", [frame(0x89, b""), frame(0x81, b"\x03")].concat(), Heard::GivesUp),
        ("the end of the input", frame(0x82, b""), Heard::GivesUp),
        ("close", frame(0x88, b""), Heard::GivesUp),
        ("close with a reason", frame(0x88, &[3, 232, b'x']), Heard::GivesUp),
        ("a message in pieces", frame(0x01, b"a"), Heard::Broken),
        ("the rest of a message", frame(0x80, b"a"), Heard::Broken),
        ("an unknown opcode", frame(0x83, b""), Heard::Broken),
        ("a reserved bit", frame(0xc1, b""), Heard::Broken),
        ("without a mask", vec![0x81, 1, b'a', 0, 0, 0], Heard::Broken),
        ("a long ping", frame(0x89, &[0; 126]), Heard::Broken),
        ("not frames", vec![0xff; 40], Heard::Broken),
        ("a length of 64 bits", vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Heard::TooMuch),
    ]
}

/// What is heard of pieces, one after the other.
fn hear(typed: &mut Typed, pieces: &[&[u8]]) -> Heard {
    let mut heard = Heard::Nothing;
    for piece in pieces {
        match typed.hear(piece) {
            Heard::Nothing => {}
            ping @ Heard::Ping(_) => heard = ping,
            end @ (Heard::GivesUp | Heard::Left | Heard::TooMuch | Heard::Broken) => return end,
        }
    }
    heard
}

#[test]
fn every_cut_is_heard_alike() {
    for (case, bytes, expected) in cases() {
        for cut in 0..bytes.len() {
            let mut typed = Typed::default();
            assert_eq!(hear(&mut typed, &[&bytes[..cut], &bytes[cut..]]), expected, "{case}, cut at {cut}");
        }
        let mut typed = Typed::default();
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(hear(&mut typed, &single), expected, "{case}, byte by byte");
    }
}

#[test]
fn what_is_left_begins_at_a_frame() {
    let typed_before = frame(0x81, b"typed before");
    let next = frame(0x81, b"typed after");
    let both = [typed_before.as_slice(), &next].concat();
    for cut in typed_before.len()..both.len() {
        let mut typed = Typed::default();
        assert_eq!(typed.hear(&both[..cut]), Heard::Nothing);
        assert_eq!(typed.rest(), both[typed_before.len()..cut], "cut at {cut}");
        assert!(typed.rest().is_empty());
    }
}

#[test]
fn nobody_types_that_much() {
    let mut typed = Typed::default();
    let page = frame(0x81, &[b'a'; 1000]);
    let enough = TOTAL_MAX / page.len();
    for _ in 0..enough {
        assert_eq!(typed.hear(&page), Heard::Nothing);
    }
    assert_eq!(typed.hear(&page), Heard::TooMuch);

    // One frame that never ends is not kept for long.
    let mut typed = Typed::default();
    let head = [0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4];
    assert_eq!(typed.hear(&head), Heard::Nothing);
    assert_eq!(hear(&mut typed, &[[0_u8; 1024].as_slice(); 17]), Heard::TooMuch);
    assert!(typed.buffer.len() < 2 * FRAME_MAX);
}
