//! As much of the tar format (POSIX ustar) as `convox cp` needs: regular files.

use bytes::Bytes;
use time::OffsetDateTime;

const BLOCK: usize = 512;

/// An archive of files; names lose their leading slash.
pub(super) fn write(files: &[(String, Bytes)], now: OffsetDateTime) -> Bytes {
    let mut out = Vec::new();
    for (path, content) in files {
        out.extend(header(path.trim_start_matches('/'), content.len(), now));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    // Two empty blocks end an archive.
    out.resize(out.len() + 2 * BLOCK, 0);
    out.into()
}

fn header(name: &str, length: usize, now: OffsetDateTime) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut field = |size: usize, value: &[u8]| {
        let end = block.len() + size;
        block.extend(value.iter().take(size));
        block.resize(end, 0);
    };
    field(100, name.as_bytes());
    field(8, b"0000600");
    field(8, b"0000000");
    field(8, b"0000000");
    field(12, format!("{length:011o}").as_bytes());
    field(12, format!("{:011o}", now.unix_timestamp().max(0)).as_bytes());
    field(8, b"        ");
    field(1, b"0");
    field(100, b"");
    field(8, b"ustar\x0000");
    field(32, b"root");
    field(32, b"root");
    field(8, b"0000000");
    field(8, b"0000000");
    field(167, b"");
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    let sum = format!("{sum:06o}\0 ");
    for (place, byte) in block.iter_mut().skip(148).zip(sum.bytes()) {
        *place = byte;
    }
    block
}

/// Regular files of an archive, in order; none if it is not one.
pub(super) fn read(mut archive: &[u8]) -> Option<Vec<(String, Bytes)>> {
    let mut files = Vec::new();
    let mut long_name = None;
    while let Some((block, rest)) = archive.split_at_checked(BLOCK) {
        if block.iter().all(|&b| b == 0) {
            break;
        }
        if block.get(257..262)? != b"ustar" {
            return None;
        }
        let length = usize::from_str_radix(text(block.get(124..136)?).trim(), 8).ok()?;
        let content = rest.get(..length)?;
        archive = rest.get(length.next_multiple_of(BLOCK)..).unwrap_or_default();
        let prefix = text(block.get(345..500)?);
        let name = text(block.get(..100)?);
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        match block.get(156)? {
            b'0' | 0 => files.push((long_name.take().unwrap_or(name), Bytes::copy_from_slice(content))),
            // GNU: the name of the next entry.
            b'L' => long_name = Some(text(content)),
            _ => {}
        }
    }
    Some(files)
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}
