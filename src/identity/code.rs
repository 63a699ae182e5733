//! Codes that people read, type or follow.

use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};

/// Letters of codes: no vowels, so that no words come out, and none that look alike (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters between two dashes.
const GROUP: usize = 4;

/// A code of so many letters in groups of four, `BCDF-GHJK`: 4.3 bits for each letter.
///
/// # Errors
/// When the operating system has no randomness.
pub fn user_code(letters: usize) -> Result<String, SysError> {
    let mut code = String::with_capacity(letters + letters / GROUP);
    let mut count = 0;
    while count < letters {
        let mut byte = [0_u8; 1];
        SysRng.try_fill_bytes(&mut byte)?;
        // 240 is twelve times twenty: what lies above would make some letters more likely.
        let letter = byte.first().filter(|byte| **byte < 240).and_then(|byte| LETTERS.get(usize::from(byte % 20)));
        if let Some(letter) = letter {
            if count > 0 && count % GROUP == 0 {
                code.push('-');
            }
            code.push(char::from(*letter));
            count += 1;
        }
    }
    Ok(code)
}
