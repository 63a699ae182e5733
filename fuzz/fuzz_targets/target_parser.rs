//! Any bytes as a request target: read or refused, and read by nobody else as another route.
#![no_main]

#[path = "../../tests/it/routes/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let kind = oracle::KINDS[usize::from(*first) % oracle::KINDS.len()];
    if let Ok(raw) = std::str::from_utf8(rest) {
        oracle::check_target(kind, raw);
    }
});
