//! From a person at the identity provider to a person of the gateway.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{refusal, unreadable};
use crate::api::public::Visit;
use crate::identity::{Arrival, IdentifyError, Identity, Person, Rules, UserCreation};
use crate::pep::{Gate, Refusal};
use crate::store::{NewUser, StoreError, UserRow};

/// The person whom the provider vouches for, by issuer and subject: an address may change hands. An
/// account that an administrator made is bound to the first who signs in with its address.
pub(super) async fn known(visit: &Visit, person: &Person, rules: &Rules) -> Result<UserRow, Refusal> {
    let store = &visit.services.gate.store;
    if let Some(user) = store.user_find_by_subject(&person.issuer, &person.subject).await.map_err(unreadable)? {
        return Ok(user);
    }
    let user = match store.user_find_by_email(&person.email).await.map_err(unreadable)? {
        Some(user) => user,
        None => create(visit, person, rules).await?,
    };
    bind(visit, user, person).await
}

async fn bind(visit: &Visit, user: UserRow, person: &Person) -> Result<UserRow, Refusal> {
    let check = "the address belonged to another account at the identity provider: an administrator must delete \
                 that user here and add the address again";
    let other = || refusal(403, "account-other", "this address belongs to another account here", &[check]);
    if user.binding.is_some() {
        return Err(other());
    }
    let change = [("user", user.id.as_str()), ("issuer", &person.issuer), ("subject", &person.subject)];
    record(visit, "user:bind", &change).await?;
    match visit.services.gate.store.user_bind(&user.id, &person.issuer, &person.subject).await {
        Ok(user) => Ok(user),
        Err(StoreError::Conflict(_)) => Err(other()),
        Err(error) => Err(unreadable(error)),
    }
}

/// Somebody new, where the settings let them come without an invitation.
async fn create(visit: &Visit, person: &Person, rules: &Rules) -> Result<UserRow, Refusal> {
    let gate = &visit.services.gate;
    let by_group = !gate.active.load().roles_held(&[], &person.groups).is_empty();
    let roles = match rules.user_creation {
        UserCreation::Domain => rules.default_roles.clone(),
        UserCreation::Groups if by_group => Vec::new(),
        UserCreation::Groups | UserCreation::Invited => {
            let what = "you are not known to this gateway";
            let check = "ask an administrator to add your address, as the identity provider writes it";
            return Err(refusal(403, "user-unknown", what, &[check]));
        }
    };
    let id = Uuid::now_v7().to_string();
    let change = [("user", id.as_str()), ("roles", &roles.join(",")), ("email", &person.email)];
    record(visit, "user:create", &change).await?;
    let new = NewUser {
        id,
        email: person.email.clone(),
        name: person.name.clone(),
        roles,
        groups: person.groups.clone(),
        binding: None,
        created_by: Some("sign-in".to_owned()),
    };
    gate.store.user_create(new, visit.accepted.trace().at).await.map_err(unreadable)
}

async fn record(visit: &Visit, action: &'static str, change: &[(&str, &str)]) -> Result<(), Refusal> {
    let change: BTreeMap<String, String> =
        change.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    visit.accepted.record_change(&visit.services.gate, action, change).await.map_err(Refusal::Unrecorded)
}

/// The person as the database knows them now, with the groups of this sign-in.
pub(super) async fn read(
    gate: &Gate,
    arrival: &Arrival,
    id: &str,
    groups: &[String],
    now: time::OffsetDateTime,
) -> Result<Identity, IdentifyError> {
    let user = gate.store.user_find(id).await.map_err(IdentifyError::Unavailable)?;
    let user = user.ok_or(IdentifyError::Revoked)?;
    Ok(arrival.person(user, groups.to_vec(), now))
}
