//! The file in which the client keeps racks and tokens: `~/.config/rack-gateway/config.json`.
//!
//! Nobody but its owner may read it: a file that others can read is refused, not used. It is replaced as a
//! whole, so that a crash leaves the old one, and fields that this version does not know are kept.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::address::Address;
use super::environment::Environment;
use super::text::parse_time;
use super::token::Token;

/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("there is no place for the configuration: set HOME or XDG_CONFIG_HOME")]
    NoHome,
    #[error("{path} cannot be used: {cause}")]
    Io { path: PathBuf, cause: io::Error },
    #[cfg(unix)]
    #[error(
        "{path} holds tokens and others can read it (mode {mode:04o}): run `chmod 600` on it; if others use \
             this machine, sign in again as well"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} is not a configuration: {cause}; repair it, or move it away and sign in again")]
    Broken { path: PathBuf, cause: String },
}

/// A gateway that the user knows by a name.
#[derive(Clone, Debug)]
pub(super) struct Rack {
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) session: Option<Session>,
}

/// A session that the user has there.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) token: Token,
    pub(super) id: String,
    /// As the gateway wrote it (RFC 3339).
    pub(super) expires_at: String,
    pub(super) email: String,
}

impl Session {
    /// Whether its time is over. The gateway has the last word.
    pub(super) fn is_over(&self, now: OffsetDateTime) -> bool {
        parse_time(&self.expires_at).is_some_and(|end| end <= now)
    }
}

/// The file.
pub(super) struct Config {
    path: PathBuf,
    document: Map<String, Value>,
}

/// The document holds tokens.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Where the file is. The XDG specification says to ignore a path that is not absolute.
fn path(environment: &Environment) -> Result<PathBuf, ConfigError> {
    let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    Ok(base.ok_or(ConfigError::NoHome)?.join("rack-gateway").join("config.json"))
}

impl Config {
    /// Reads the file; one that does not exist is empty.
    pub(super) fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let path = path(environment)?;
        let document = match File::open(&path) {
            Ok(file) => parse(&path, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(cause) => return Err(ConfigError::Io { path, cause }),
        };
        Ok(Self { path, document })
    }

    /// Reads the file, changes it and writes it, while no other process of this program does.
    pub(super) fn change(environment: &Environment, change: impl FnOnce(&mut Self)) -> Result<(), ConfigError> {
        let path = path(environment)?;
        let failed = |cause| ConfigError::Io { path: path.clone(), cause };
        let folder = path.parent().ok_or(ConfigError::NoHome)?;
        make_private_folder(folder).map_err(failed)?;
        let lock = private(OpenOptions::new().create(true).truncate(false)).open(folder.join("lock"));
        let lock = lock.map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut config = Self::read(environment)?;
        change(&mut config);
        let mut text = serde_json::to_string_pretty(&config.document)
            .map_err(|error| ConfigError::Broken { path: path.clone(), cause: error.to_string() })?;
        text.push('\n');
        replace(&path, text.as_bytes()).map_err(failed)
    }

    /// Name of the rack that is used when none is named.
    pub(super) fn current(&self) -> Option<&str> {
        self.document.get("current")?.as_str()
    }

    pub(super) fn set_current(&mut self, name: &str) {
        self.document.insert("current".to_owned(), json!(name));
    }

    /// All racks, sorted by name.
    pub(super) fn racks(&self) -> Result<Vec<Rack>, ConfigError> {
        let names = self.document.get("racks").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let mut racks = names.filter_map(|name| self.rack(name).transpose()).collect::<Result<Vec<_>, _>>()?;
        racks.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(racks)
    }

    /// The rack of a name.
    pub(super) fn rack(&self, name: &str) -> Result<Option<Rack>, ConfigError> {
        let Some(entry) = self.document.get("racks").and_then(|racks| racks.get(name)) else { return Ok(None) };
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        let broken = |cause: String| ConfigError::Broken { path: self.path.clone(), cause };
        let address = Address::parse(text("url").unwrap_or_default())
            .map_err(|error| broken(format!("the url of the rack {name}: {error}")))?;
        let session = match text("token").map(Token::parse) {
            None => None,
            Some(None) => return Err(broken(format!("the rack {name} has no usable token"))),
            Some(Some(token)) => {
                let own = |field| text(field).unwrap_or_default().to_owned();
                Some(Session { token, id: own("session_id"), expires_at: own("expires_at"), email: own("email") })
            }
        };
        Ok(Some(Rack { name: name.to_owned(), address, session }))
    }

    /// Writes what is known of a rack; other fields of its entry stay.
    pub(super) fn put(&mut self, rack: &Rack) {
        let mut racks = take_object(&mut self.document, "racks");
        let mut entry = take_object(&mut racks, &rack.name);
        entry.insert("url".to_owned(), json!(rack.address.to_string()));
        let session = rack.session.as_ref();
        let fields = [
            ("token", session.map(|session| session.token.expose())),
            ("session_id", session.map(|session| session.id.as_str())),
            ("expires_at", session.map(|session| session.expires_at.as_str())),
            ("email", session.map(|session| session.email.as_str())),
        ];
        for (name, value) in fields {
            match value {
                Some(value) => entry.insert(name.to_owned(), json!(value)),
                None => entry.remove(name),
            };
        }
        racks.insert(rack.name.clone(), Value::Object(entry));
        self.document.insert("racks".to_owned(), Value::Object(racks));
    }

    /// Forgets a rack.
    pub(super) fn remove(&mut self, name: &str) {
        if self.current() == Some(name) {
            self.document.remove("current");
        }
        if let Some(racks) = self.document.get_mut("racks").and_then(Value::as_object_mut) {
            racks.remove(name);
        }
    }
}

/// The object of a name, or an empty one.
fn take_object(from: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match from.remove(name) {
        Some(Value::Object(map)) => map,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => Map::new(),
    }
}

fn parse(path: &Path, file: File) -> Result<Map<String, Value>, ConfigError> {
    let failed = |cause| ConfigError::Io { path: path.to_owned(), cause };
    // The open file is looked at, not its name, which may be another file by now.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ConfigError::Exposed { path: path.to_owned(), mode });
        }
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    // The parser's message is kept, not what it read: that may be a token.
    serde_json::from_str(&text).map_err(|error| {
        let cause = format!("line {}, column {}", error.line(), error.column());
        ConfigError::Broken { path: path.to_owned(), cause }
    })
}

/// A file that only its owner may read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.write(true)
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        builder.mode(0o700);
        if folder.is_dir() {
            return std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
        }
    }
    builder.recursive(true).create(folder)
}

/// Writes beside the file, then takes its place.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("json.{}", std::process::id()));
    // What a crash of an earlier process with this number left behind.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = write_new(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        std::fs::remove_file(&temporary)?;
    }
    written
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = private(OpenOptions::new().create_new(true)).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Whether a name may stand for a rack.
pub(super) fn is_rack_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-')
}
