//! Who may do what, as far as a rack itself cares (convox `pkg/api/api.go`, `authorization.go`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::call::Call;
use super::reply::Failure;

/// Rights of a credential: the rack password has all, a minted token may have fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Nothing; the rack lets no request through with it.
    #[default]
    None,
    /// `r`.
    Read,
    /// `rw`.
    Write,
    /// `rwa`.
    Admin,
}

impl Role {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// Reads the credential of a request. The username counts only when it is `jwt`.
pub(super) fn authenticate(call: &Call) -> Result<Role, Failure> {
    let password = &call.rack.options().password;
    let (user, given) = basic(&call.header("authorization")).unwrap_or_default();
    let role = if user == "jwt" {
        let now = call.now();
        call.rack.data().tokens.iter().find(|t| t.text == given && t.expires > now).map(|token| token.role)
    } else {
        (password.is_empty() || *password == given).then_some(Role::Admin)
    };
    role.ok_or_else(|| Failure::new(401, "invalid authentication"))
}

/// `GET` needs to read, everything else to write.
pub(super) fn authorize(role: Role, method: &str) -> Result<(), Failure> {
    let needs = if method == "GET" { Role::Read } else { Role::Write };
    if role >= needs { Ok(()) } else { Err(Failure::new(401, "you are unauthorized to access this")) }
}

/// Sockets are `GET`s, so those that write ask again.
pub(super) fn needs_write(call: &Call, what: &str) -> Result<(), Failure> {
    if call.role >= Role::Write {
        return Ok(());
    }
    Err(Failure::new(403, format!("{what} requires write access")))
}

/// Go's `BasicAuth`.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
