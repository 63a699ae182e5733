//! Where anchors of the audit log are put, and who signs them: `AUDIT_ANCHOR_…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConfigErrors, Env};

const NAMES: &[&str] = &[
    "AUDIT_ANCHOR_BUCKET",
    "AUDIT_ANCHOR_BUCKET_OWNER",
    "AUDIT_ANCHOR_KMS_KEY_ID",
    "AUDIT_ANCHOR_KEY_FILE",
    "AUDIT_ANCHOR_NEXT_KMS_KEY_ID",
    "AUDIT_ANCHOR_NEXT_KEY_FILE",
    "AUDIT_ANCHOR_MODE",
    "AUDIT_ANCHOR_INTERVAL_SECONDS",
    "AUDIT_ANCHOR_RECORDS",
    "AUDIT_ANCHOR_RETENTION_DAYS",
];

/// Anchors of the audit log. Region, endpoint, role and profile are the AWS SDK's own variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorSettings {
    /// Where they are put: `AUDIT_ANCHOR_BUCKET`.
    pub place: AnchorPlace,
    /// Who signs: `AUDIT_ANCHOR_KMS_KEY_ID` or `AUDIT_ANCHOR_KEY_FILE`.
    pub key: AnchorKey,
    /// Who signs from the next anchor on: `AUDIT_ANCHOR_NEXT_KMS_KEY_ID` or
    /// `AUDIT_ANCHOR_NEXT_KEY_FILE`, while the key is being changed.
    pub next_key: Option<AnchorKey>,
    /// Whether the server itself makes them; otherwise `rack-gateway-api anchor` does, as a process
    /// of its own: `AUDIT_ANCHOR_MODE`.
    pub in_server: bool,
    /// Longest time between two: `AUDIT_ANCHOR_INTERVAL_SECONDS`.
    pub interval: Duration,
    /// Most records between two: `AUDIT_ANCHOR_RECORDS`.
    pub records: u64,
    /// For how many days each object is locked: `AUDIT_ANCHOR_RETENTION_DAYS`.
    pub retention_days: u32,
}

/// Where anchors are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorPlace {
    /// A bucket with Object Lock.
    S3 {
        /// Its name.
        bucket: String,
        /// The account that must own it: `AUDIT_ANCHOR_BUCKET_OWNER`.
        account: Option<String>,
    },
    /// A folder: development. Nothing keeps anybody from changing what is in it.
    Folder(PathBuf),
}

/// Who signs anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorKey {
    /// A key of KMS: its id, ARN or alias.
    Kms(String),
    /// A file: development. Whoever has the machine has the key.
    File(PathBuf),
}

impl AnchorSettings {
    /// The usual settings for a place and a key.
    #[must_use]
    pub const fn new(place: AnchorPlace, key: AnchorKey) -> Self {
        Self {
            place,
            key,
            next_key: None,
            in_server: true,
            interval: Duration::from_secs(60),
            records: 10_000,
            retention_days: 400,
        }
    }

    /// Whether a software key or a folder stands in for KMS and S3.
    #[must_use]
    pub fn is_development(&self) -> bool {
        let is_file = |key: &AnchorKey| matches!(key, AnchorKey::File(_));
        matches!(self.place, AnchorPlace::Folder(_))
            || is_file(&self.key)
            || self.next_key.as_ref().is_some_and(is_file)
    }

    /// The settings alone, for commands that need nothing else. None when anchors are off.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn from_env(env: &dyn Env) -> Result<Option<Self>, ConfigErrors> {
        let mut problems = Vec::new();
        let settings = Self::read(env, &mut problems);
        if problems.is_empty() { Ok(settings) } else { Err(ConfigErrors(problems)) }
    }

    /// Reads the settings; adds what is wrong to `problems`. None when nothing is set: then nothing
    /// is anchored.
    pub(super) fn read(env: &dyn Env, problems: &mut Vec<String>) -> Option<Self> {
        if NAMES.iter().all(|name| env.get(name).is_none()) {
            return None;
        }
        let before = problems.len();
        let mut reader = Reader { env, problems };
        let place = reader.place();
        let key = reader.key("AUDIT_ANCHOR_KMS_KEY_ID", "AUDIT_ANCHOR_KEY_FILE");
        let next_key = reader.key("AUDIT_ANCHOR_NEXT_KMS_KEY_ID", "AUDIT_ANCHOR_NEXT_KEY_FILE");
        if key.is_none() {
            reader.problem(
                "AUDIT_ANCHOR_KMS_KEY_ID is not set: the KMS key that signs anchors (or AUDIT_ANCHOR_KEY_FILE, for \
                 development)",
            );
        }
        if key.is_some() && key == next_key {
            reader.problem("the next key of the anchors is the present one: leave it out");
        }
        let in_server = reader.in_server();
        let interval = reader.number("AUDIT_ANCHOR_INTERVAL_SECONDS", 60, (1, 86_400));
        let records = reader.number("AUDIT_ANCHOR_RECORDS", 10_000, (1, 100_000_000));
        let retention = reader.number("AUDIT_ANCHOR_RETENTION_DAYS", 400, (1, 36_500));
        let (place, key) = place.zip(key)?;
        (problems.len() == before).then(|| Self {
            place,
            key,
            next_key,
            in_server,
            interval: Duration::from_secs(interval),
            records,
            retention_days: u32::try_from(retention).unwrap_or(u32::MAX),
        })
    }
}

struct Reader<'a> {
    env: &'a dyn Env,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn problem(&mut self, text: &str) {
        self.problems.push(text.to_owned());
    }

    fn place(&mut self) -> Option<AnchorPlace> {
        let account = self.env.get("AUDIT_ANCHOR_BUCKET_OWNER");
        if account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit())) {
            self.problem("AUDIT_ANCHOR_BUCKET_OWNER must be the twelve digits of an AWS account");
        }
        let Some(named) = self.env.get("AUDIT_ANCHOR_BUCKET") else {
            self.problem("AUDIT_ANCHOR_BUCKET is not set: the bucket that anchors are put in");
            return None;
        };
        if let Some(path) = named.strip_prefix("file://") {
            if !Path::new(path).is_absolute() {
                self.problem("AUDIT_ANCHOR_BUCKET must name a folder as file:///absolute/path");
                return None;
            }
            if account.is_some() {
                self.problem("AUDIT_ANCHOR_BUCKET_OWNER says who owns a bucket, and anchors are put in a folder");
            }
            return Some(AnchorPlace::Folder(PathBuf::from(path)));
        }
        if !is_bucket(&named) {
            self.problem("AUDIT_ANCHOR_BUCKET must be the name of a bucket, without s3://, or file:///absolute/path");
            return None;
        }
        Some(AnchorPlace::S3 { bucket: named, account })
    }

    fn key(&mut self, kms: &str, file: &str) -> Option<AnchorKey> {
        match (self.env.get(kms), self.env.get(file)) {
            (Some(_), Some(_)) => {
                self.problem(&format!("{kms} and {file} exclude each other: set one"));
                None
            }
            (Some(id), None) => Some(AnchorKey::Kms(id)),
            (None, Some(path)) => Some(AnchorKey::File(PathBuf::from(path))),
            (None, None) => None,
        }
    }

    fn in_server(&mut self) -> bool {
        match self.env.get("AUDIT_ANCHOR_MODE").as_deref() {
            None | Some("server") => true,
            Some("separate") => false,
            Some(_) => {
                self.problem(
                    "AUDIT_ANCHOR_MODE must be `server`, or `separate` where `rack-gateway-api anchor` runs beside it",
                );
                true
            }
        }
    }

    fn number(&mut self, name: &str, default: u64, (least, most): (u64, u64)) -> u64 {
        let Some(text) = self.env.get(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            Ok(_) | Err(_) => {
                self.problem(&format!("{name} must be a number from {least} to {most}"));
                default
            }
        }
    }
}

/// Whether a bucket may be called so (Amazon S3 User Guide, "General purpose bucket naming rules").
fn is_bucket(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| plain(b) || b == b'-' || b == b'.')
        && [name.bytes().next(), name.bytes().last()].iter().all(|end| end.is_some_and(plain))
}

impl fmt::Display for AnchorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, account: Some(account) } => write!(f, "bucket {bucket} of account {account}"),
            Self::S3 { bucket, account: None } => write!(f, "bucket {bucket}"),
            Self::Folder(path) => write!(f, "folder {}", path.display()),
        }
    }
}

impl fmt::Display for AnchorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kms(id) => write!(f, "KMS key {id}"),
            Self::File(path) => write!(f, "key file {}", path.display()),
        }
    }
}

/// For `config check`: where, who signs, when, and that development anchors are just that.
impl fmt::Display for AnchorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, next_key, in_server, interval, records, retention_days } = self;
        write!(f, "{place}, {key}")?;
        if let Some(next) = next_key {
            write!(f, ", next {next}")?;
        }
        let by = if *in_server { "the server" } else { "a process of its own" };
        write!(f, ", every {} s or {records} records by {by}, kept {retention_days} days", interval.as_secs())?;
        if self.is_development() { f.write_str(" (development anchor)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{AnchorKey, AnchorPlace, AnchorSettings};

    fn read(pairs: &[(&str, &str)]) -> Result<Option<AnchorSettings>, Vec<String>> {
        let name = |name: &str| format!("AUDIT_ANCHOR_{name}");
        let env: BTreeMap<_, _> = pairs.iter().map(|(key, value)| (name(key), (*value).to_owned())).collect();
        AnchorSettings::from_env(&env).map_err(|errors| errors.0)
    }

    const GOOD: [(&str, &str); 2] = [("BUCKET", "acme-audit-anchors"), ("KMS_KEY_ID", "alias/anchors")];

    #[test]
    fn nothing_is_off() {
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn a_bucket_and_a_key_are_enough() {
        let settings = read(&GOOD).unwrap().unwrap();
        let place = AnchorPlace::S3 { bucket: "acme-audit-anchors".to_owned(), account: None };
        assert_eq!(settings, AnchorSettings::new(place, AnchorKey::Kms("alias/anchors".to_owned())));
        assert!(!settings.is_development());
        assert_eq!(
            settings.to_string(),
            "bucket acme-audit-anchors, KMS key alias/anchors, every 60 s or 10000 records by the server, kept 400 days"
        );
    }

    #[test]
    fn everything_can_be_set() {
        let all = [
            ("BUCKET", "file:///var/anchors"),
            ("KEY_FILE", "/etc/a.pem"),
            ("NEXT_KEY_FILE", "/etc/b.pem"),
            ("MODE", "separate"),
            ("INTERVAL_SECONDS", "5"),
            ("RECORDS", "7"),
            ("RETENTION_DAYS", "30"),
        ];
        let settings = read(&all).unwrap().unwrap();
        assert_eq!(settings.place, AnchorPlace::Folder(PathBuf::from("/var/anchors")));
        assert_eq!(settings.next_key, Some(AnchorKey::File(PathBuf::from("/etc/b.pem"))));
        assert!(!settings.in_server && settings.is_development());
        assert_eq!((settings.interval, settings.records, settings.retention_days), (Duration::from_secs(5), 7, 30));
        assert!(settings.to_string().ends_with("(development anchor)"), "{settings}");
    }

    #[test]
    fn each_bad_setting_is_named() {
        let cases = [
            ("BUCKET", "", "AUDIT_ANCHOR_BUCKET is not set"),
            ("BUCKET", "s3://acme", "AUDIT_ANCHOR_BUCKET must be"),
            ("BUCKET", "Acme-Anchors", "AUDIT_ANCHOR_BUCKET must be"),
            ("BUCKET", "ab", "AUDIT_ANCHOR_BUCKET must be"),
            ("BUCKET", "-abc", "AUDIT_ANCHOR_BUCKET must be"),
            ("BUCKET", "file://anchors", "file:///absolute/path"),
            ("BUCKET_OWNER", "1234", "twelve digits"),
            ("KMS_KEY_ID", "", "AUDIT_ANCHOR_KMS_KEY_ID is not set"),
            ("KEY_FILE", "/a.pem", "exclude each other"),
            ("NEXT_KMS_KEY_ID", "alias/anchors", "is the present one"),
            ("MODE", "both", "AUDIT_ANCHOR_MODE must be"),
            ("INTERVAL_SECONDS", "0", "AUDIT_ANCHOR_INTERVAL_SECONDS must be a number from 1"),
            ("RECORDS", "many", "AUDIT_ANCHOR_RECORDS must be a number"),
            ("RETENTION_DAYS", "0", "AUDIT_ANCHOR_RETENTION_DAYS must be a number"),
        ];
        for (name, value, expected) in cases {
            let pairs: Vec<_> = GOOD.iter().copied().filter(|(n, _)| *n != name).chain([(name, value)]).collect();
            let problems = read(&pairs).expect_err(name);
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}={value}: {problems:?}");
        }
    }

    #[test]
    fn all_problems_show_at_once() {
        let problems = read(&[("BUCKET", "S3"), ("MODE", "x"), ("RECORDS", "0")]).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
    }
}
