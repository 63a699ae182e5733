//! Frames cut at every place.

use super::*;

fn frame(first: u8, mask: bool, length: usize) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, 0, &vec![0x82; length]);
    let mut bytes = bytes.to_vec();
    bytes[0] = first;
    if mask {
        let head = bytes.len() - length;
        bytes[1] |= 0x80;
        bytes.splice(head..head, [1, 2, 3, 4]);
    }
    bytes
}

#[test]
fn every_cut_finds_the_same_boundaries() {
    for length in [0_usize, 1, 125, 126, 127, 65_535, 65_536] {
        for mask in [false, true] {
            let bytes = frame(0x81, mask, length);
            for cut in (0..bytes.len().min(20)).chain([bytes.len() - 1]) {
                let mut scanner = Scanner::default();
                scanner.follow(&bytes[..cut]);
                assert_eq!(scanner.is_at_boundary(), cut == 0, "length {length}, mask {mask}, cut {cut}");
                scanner.follow(&bytes[cut..]);
                assert!(scanner.is_at_boundary(), "length {length}, mask {mask}, cut {cut}");
                assert!(!scanner.has_ended());
            }
        }
    }
}

#[test]
fn one_frame_is_taken_at_a_time() {
    let mut bytes = frame(0x01, false, 3);
    let first = bytes.len();
    bytes.extend(frame(0x80, false, 0));
    let mut scanner = Scanner::default();
    assert_eq!(scanner.follow_frame(&bytes), first);
    assert!(scanner.is_at_boundary() && scanner.is_in_message());
    assert_eq!(scanner.follow_frame(&bytes[first..]), 2);
    assert!(scanner.is_at_boundary() && !scanner.is_in_message());
}

#[test]
fn only_an_empty_binary_message_or_a_close_is_an_end() {
    let cases: [(&[u8], bool); 7] = [
        (&[0x82, 0], true),
        (&[0x88, 2, 3, 232], true),
        (&[0x81, 0], false),
        (&[0x82, 1, 0], false),
        (&[0x02, 0], false),
        (&[0x8a, 0], false),
        (&[0x81, 2, 0x82, 0x00], false),
    ];
    for (bytes, ended) in cases {
        let mut scanner = Scanner::default();
        scanner.follow(bytes);
        assert_eq!(scanner.has_ended(), ended, "{bytes:x?}");
    }
}

#[test]
fn a_ping_inside_a_message_does_not_end_it() {
    let mut scanner = Scanner::default();
    scanner.follow(&[0x01, 1, b'a', 0x89, 0]);
    assert!(scanner.is_in_message());
    scanner.follow(&[0x80, 0]);
    assert!(!scanner.is_in_message());
}

#[test]
fn the_last_word_is_what_the_cli_reads() {
    let bytes = farewell(true, Some("ERROR: no\n"), Some(126));
    let mut expected = vec![0x80, 0, 0x81, 10];
    expected.extend(b"ERROR: no\n");
    expected.extend([0x81, 41]);
    expected.extend(b"F1E49A85-0AD7-4AEF-A618-C249C6E6568D:126\n");
    expected.extend([0x82, 0]);
    assert_eq!(bytes, expected);
    assert_eq!(farewell(false, None, None), [0x82, 0].as_slice());
}
