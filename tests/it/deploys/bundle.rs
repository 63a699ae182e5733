//! Uploads, as the command makes them and as nobody should.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::MANIFEST;

/// An entry.
pub enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

pub fn tarball(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        match entry {
            Entry::File(name, content) => {
                builder.append_data(&mut header(EntryType::Regular, content.len()), name, *content).unwrap();
            }
            Entry::Link(name, target) => {
                builder.append_link(&mut header(EntryType::Symlink, 0), name, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn packed(entries: &[Entry<'_>]) -> Vec<u8> {
    gzip(&tarball(entries))
}

/// With this manifest.
pub fn with(manifest: &str) -> Vec<u8> {
    packed(&[Entry::File("Dockerfile", b"FROM scratch\n"), Entry::File("convox.yml", manifest.as_bytes())])
}

/// What nobody has anything against.
pub fn good() -> Vec<u8> {
    with(MANIFEST)
}
