//! One-time codes of an authenticator app: RFC 6238 with SHA-1, six digits, steps of 30 seconds.

use qrcodegen::{QrCode, QrCodeEcc};
use rand::TryRng as _;
use rand::rngs::{SysError, SysRng};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use thiserror::Error;
use time::OffsetDateTime;
use totp_rs::{Algorithm, Builder, Totp};

/// Bytes of a secret: the length of the hash (RFC 4226 §4, R6).
const SECRET: usize = 20;
/// Seconds of a step.
const STEP: u64 = 30;
const DIGITS: u8 = 6;
/// White modules around a QR code (ISO/IEC 18004 §5.3.8).
const QUIET: i32 = 4;

/// Why codes cannot be computed or shown. Never with what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum AppError {
    #[error("what is stored is no secret of an authenticator app")]
    Secret,
    #[error("the secret does not fit into a QR code")]
    Picture,
}

/// A new secret, from the operating system.
pub(super) fn secret() -> Result<SecretSlice<u8>, SysError> {
    let mut bytes = vec![0; SECRET];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(SecretSlice::from(bytes))
}

/// An authenticator app with one secret.
pub(super) struct App(Totp);

impl App {
    /// `issuer` and `account` are what the app shows. They hold no colon on the way, because that is
    /// what stands between them.
    pub(super) fn new(secret: &SecretSlice<u8>, issuer: &str, account: &str) -> Result<Self, AppError> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_step_duration(STEP)
            .with_skew(0)
            .with_secret(secret.expose_secret())
            .with_issuer(Some(issuer.replace(':', " ")))
            .with_account_name(account.replace(':', " "))
            .build()
            .map(Self)
            .map_err(|_| AppError::Secret)
    }

    /// The step of a right code: the current one, the one before or the one after (RFC 6238 §5.2).
    /// Whether it was used before is for the caller to find out. Takes the same time for all codes
    /// of the right form.
    pub(super) fn step_of(&self, code: &str, now: OffsetDateTime) -> Option<i64> {
        let time = u64::try_from(now.unix_timestamp()).ok()?;
        let times = [time.checked_sub(STEP), Some(time), time.checked_add(STEP)];
        let steps = times.map(|time| self.0.check(code, time?));
        let latest = steps.into_iter().flatten().max()?;
        i64::try_from(latest).ok()
    }

    /// The secret as people type it: base32 without padding (RFC 4648 §6).
    pub(super) fn base32(&self) -> SecretString {
        SecretString::from(self.0.secret().to_base32())
    }

    /// The `otpauth:` address that apps read from the picture. It holds the secret.
    pub(super) fn uri(&self) -> Result<SecretString, AppError> {
        self.0.to_url().map(SecretString::from).map_err(|_| AppError::Secret)
    }
}

/// A text as a QR code in SVG, black on white with a white rim, on dark pages as well. It holds what
/// the text holds.
pub(super) fn picture(text: &SecretString) -> Result<String, AppError> {
    let code = QrCode::encode_text(text.expose_secret(), QrCodeEcc::Medium).map_err(|_| AppError::Picture)?;
    let modules = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let dark = modules.filter(|(x, y)| code.get_module(*x, *y));
    let path: String = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET)).collect();
    let side = code.size() + 2 * QUIET;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app() -> App {
        let secret = SecretSlice::from(b"12345678901234567890".to_vec());
        App::new(&secret, "Rack Gateway (acme/prod)", "ada:x@example.com").unwrap()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    /// RFC 6238, appendix B, with the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let cases = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (time, code) in cases {
            let step = time / 30;
            for late in [-30, 0, 30] {
                assert_eq!(app().step_of(code, at(time + late)), Some(step), "{code} at {late}");
            }
            for late in [-3600, -61, 61, 3600] {
                assert_eq!(app().step_of(code, at(time + late)), None, "{code} at {late}");
            }
        }
        assert_eq!(app().step_of("287082", at(-59)), None, "before there were codes");
    }

    #[test]
    fn only_six_digits_are_a_code() {
        for odd in ["", "28708", "2870820", " 287082", "287 082", "+87082", "２８７０８２", "28708a", "94287082"]
        {
            assert_eq!(app().step_of(odd, at(59)), None, "{odd}");
        }
    }

    #[test]
    fn an_app_can_read_the_address() {
        let uri = app().uri().unwrap();
        assert_eq!(
            uri.expose_secret(),
            "otpauth://totp/Rack%20Gateway%20%28acme%2Fprod%29:ada%20x%40example.com?\
             secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Rack%20Gateway%20%28acme%2Fprod%29"
        );
        assert_eq!(app().base32().expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let read = Totp::from_url(uri.expose_secret()).unwrap();
        assert_eq!(read.generate(59).to_string(), "287082");
        assert_eq!((read.issuer(), read.account_name()), (Some("Rack Gateway (acme/prod)"), "ada x@example.com"));
    }

    #[test]
    fn the_picture_is_black_on_white_with_a_rim() {
        let svg = picture(&app().uri().unwrap()).unwrap();
        let side = svg.split("viewBox=\"0 0 ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(svg.contains(&format!("<rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>")), "{svg}");
        // The corner of the finder pattern is the first dark module (ISO/IEC 18004 §6.3.3).
        assert!(svg.contains("d=\"M4 4h1v1h-1z"), "{svg}");
        assert!(!svg.contains("M3 ") && !svg.contains(" 3h1"), "{svg}");
        assert_eq!(picture(&SecretString::from("x".repeat(3000))), Err(AppError::Picture));
    }

    #[test]
    fn secrets_are_new_each_time_and_long_enough() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.expose_secret().len(), 20);
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert!(App::new(&SecretSlice::from(vec![1; 15]), "issuer", "ada").is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_does_harm(code in "\\PC{0,40}", now in any::<i32>()) {
            let step = app().step_of(&code, at(i64::from(now)));
            prop_assert!(step.is_none() || code.len() == 6);
        }
    }
}
