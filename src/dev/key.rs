//! The key of stored secrets in the development set-up: made once, kept beside the database.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;

/// Reads the key in `file`, or makes one there that only its owner can read.
///
/// # Errors
/// When the file cannot be used, or the system gives no randomness.
pub fn secret_key(file: &Path) -> Result<SecretString, String> {
    let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    match std::fs::read_to_string(file) {
        Ok(text) => return Ok(SecretString::from(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(problem(&error)),
    }
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| problem(&error))?;
    let text = STANDARD.encode(bytes);
    std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| out.write_all(text.as_bytes()))
        .map_err(|error| problem(&error))?;
    Ok(SecretString::from(text))
}
