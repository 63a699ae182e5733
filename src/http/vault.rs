//! Opening the vault at start, and what the operator gives up to do so.

use crate::audit::{Actor, Event, EventKind, Writer};
use crate::clock::Clock;
use crate::store::Store;
use crate::vault::{Census, Keyring, Loss, Vault};

use super::launch::LaunchError;

/// Proves the key. With `accept_loss` deletes first what it does not open.
pub(super) async fn open(
    store: &Store,
    keyring: Keyring,
    accept_loss: bool,
    audit: &Writer,
    clock: &Clock,
) -> Result<Vault, LaunchError> {
    if accept_loss {
        delete_lost(store, &keyring, audit).await?;
    }
    let opened = Vault::open(store.clone(), keyring, clock.now()).await?;
    if opened.waiting.total() > 0 {
        let waiting = &opened.waiting;
        tracing::warn!(%waiting, "secrets are under APP_SECRET_KEY_PREVIOUS: run `rack-gateway-api secrets rotate`");
    }
    Ok(opened.vault)
}

/// What is lost is on the record before it is deleted.
async fn delete_lost(store: &Store, keyring: &Keyring, audit: &Writer) -> Result<(), LaunchError> {
    let loss = Loss::find(store, keyring).await?;
    let lost = loss.census();
    if lost.total() == 0 {
        return Ok(());
    }
    audit.append(accepted(&lost, keyring)).await?;
    tracing::warn!(%lost, "stored secrets that no key opens are deleted");
    Ok(loss.accept(store).await?)
}

fn accepted(lost: &Census, keyring: &Keyring) -> Event {
    let detail = [("lost", lost.to_string()), ("key", keyring.current_id().to_string())];
    Event {
        actor: Some(Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() }),
        detail: detail.map(|(name, value)| (name.to_owned(), value)).into(),
        ..Event::new(EventKind::Admin, "", "vault:accept-loss")
    }
}
