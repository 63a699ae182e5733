//! Who is behind a request to deploy. None of them is somebody else, so their approval never counts.

use time::OffsetDateTime;

use crate::store::{CredentialFilter, CredentialKind, CredentialRow, Party, Store, StoreError};

/// Entity type of people.
const USER: &str = "User";
/// Entity type of API tokens.
const TOKEN: &str = "ApiToken";

/// Who asks, who shall deploy, and the people behind both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Who asks.
    pub requester: Party,
    /// Who may use the grant.
    pub deployer: Party,
    /// The person who asks, and whoever made the tokens that ask or deploy.
    pub users: Vec<String>,
}

/// Why nobody can be behind it in this way.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    /// There is no such live token.
    #[error("there is no live API token of that id or name to deploy with")]
    NoToken,
    /// The token is for other apps.
    #[error("that API token may be used for other apps only")]
    OtherApps,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds them: `requester` asks for a deploy of `app`, by itself or by the API token that `deployer` names,
/// by id or by name.
///
/// # Errors
/// [`PartyError`].
pub async fn behind(
    store: &Store,
    requester: Party,
    deployer: Option<&str>,
    app: &str,
    now: OffsetDateTime,
) -> Result<Behind, PartyError> {
    let mut users = Vec::new();
    match requester.kind.as_str() {
        USER => users.push(requester.id.clone()),
        TOKEN => users.extend(store.credential_get(&requester.id).await?.and_then(|row| row.created_by)),
        _ => {}
    }
    let deployer = match deployer {
        None => requester.clone(),
        Some(named) => {
            let token = token(store, named, now).await?.ok_or(PartyError::NoToken)?;
            if !token.apps.is_empty() && !token.apps.iter().any(|known| known == app) {
                return Err(PartyError::OtherApps);
            }
            users.extend(token.created_by);
            Party::new(TOKEN, token.id)
        }
    };
    users.sort_unstable();
    users.dedup();
    Ok(Behind { requester, deployer, users })
}

async fn token(store: &Store, named: &str, now: OffsetDateTime) -> Result<Option<CredentialRow>, StoreError> {
    let by_id = store.credential_get(named).await?;
    let is_it = |row: &CredentialRow| row.kind == CredentialKind::Api && row.is_live(now);
    if let Some(row) = by_id.filter(is_it) {
        return Ok(Some(row));
    }
    let filter = CredentialFilter {
        kinds: vec![CredentialKind::Api],
        name: Some(named.to_owned()),
        live_at: Some(now),
        limit: 2,
        ..CredentialFilter::default()
    };
    let mut found: Vec<_> = store.credential_list(filter).await?.into_iter().filter(is_it).collect();
    // Live tokens have names of their own; should two share one after all, neither is meant.
    Ok(if found.len() == 1 { found.pop() } else { None })
}
