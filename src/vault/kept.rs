//! The vault: sealed values in the database, and the proof that they can be opened.

use std::collections::BTreeMap;

use secrecy::{SecretSlice, SecretString};
use thiserror::Error;
use time::OffsetDateTime;

use crate::store::{SecretCount, SecretKey, SecretRow, Store, StoreError};

use super::{KeyId, Keyring, OpenError, SealError};

/// The row by which a start finds out whether the key is the right one.
const CANARY: (&str, &str) = ("vault:canary", "canary");
const CANARY_SAYS: &[u8] = b"this key opens the vault";

/// What goes wrong with stored secrets. Nothing of their content is in it.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A value does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The key is not the one that the vault was made with.
    #[error(
        "stored secrets are sealed under a key that is not set ({0}): set APP_SECRET_KEY_PREVIOUS to the old key and \
         run `rack-gateway-api secrets rotate`, or start once with `serve --accept-loss`, which deletes what cannot \
         be opened"
    )]
    OtherKey(Census),
    /// The row that proves the key is not as it was written, though its key is known.
    #[error(
        "the row by which the vault knows its key was changed in the database: restore the table `secrets` from a \
         backup, or start once with `serve --accept-loss`, which deletes what cannot be opened"
    )]
    Damaged,
}

/// How many values there are of each purpose. Written `totp: 3, vault:canary: 1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census(pub BTreeMap<String, u64>);

impl Census {
    /// How many there are together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Counts more values of a purpose.
    pub fn add(&mut self, purpose: &str, count: u64) {
        *self.0.entry(purpose.to_owned()).or_default() += count;
    }
}

impl std::fmt::Display for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut between = "";
        for (purpose, count) in &self.0 {
            write!(f, "{between}{purpose}: {count}")?;
            between = ", ";
        }
        Ok(())
    }
}

/// Which key holds how many values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The key under which values are sealed.
    pub current: KeyId,
    /// The key that only opens.
    pub previous: Option<KeyId>,
    /// Values by key and purpose.
    pub counts: Vec<SecretCount>,
}

impl Survey {
    /// Counts what is stored. Opens nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn take(store: &Store, keyring: &Keyring) -> Result<Self, StoreError> {
        let counts = store.secret_counts().await?;
        Ok(Self { current: keyring.current_id(), previous: keyring.previous_id(), counts })
    }

    /// Values under the current key.
    #[must_use]
    pub fn settled(&self) -> Census {
        self.count(|key| key == self.current.to_string())
    }

    /// Values under the previous key.
    #[must_use]
    pub fn waiting(&self) -> Census {
        self.count(|key| self.previous.is_some_and(|previous| key == previous.to_string()))
    }

    /// Values under a key that is not set.
    #[must_use]
    pub fn unknown(&self) -> Census {
        let known: Vec<_> = [Some(self.current), self.previous].iter().flatten().map(KeyId::to_string).collect();
        self.count(|key| !known.iter().any(|known| known == key))
    }

    fn count(&self, is_counted: impl Fn(&str) -> bool) -> Census {
        let mut census = Census::default();
        for count in self.counts.iter().filter(|count| is_counted(&count.key_id)) {
            census.add(&count.purpose, count.count);
        }
        census
    }
}

/// Values that are kept for as long as they are needed, each sealed under the current key for its
/// own purpose and id. One of these exists only when the key was proved. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Store,
    keyring: Keyring,
}

/// A vault, and how it was found.
#[derive(Debug)]
pub struct Opened {
    /// The vault.
    pub vault: Vault,
    /// Whether this start made it.
    pub is_new: bool,
    /// Values that are still under the previous key: `secrets rotate` is to be run.
    pub waiting: Census,
}

impl Vault {
    /// Proves the key and gives the vault. The first start makes what later ones are proved by; of
    /// two at once one makes it and the other is proved by it.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`] when something is sealed under a key that is not on the keyring,
    /// [`VaultError::Damaged`] when the proof was changed, and what the database says.
    pub async fn open(store: Store, keyring: Keyring, now: OffsetDateTime) -> Result<Opened, VaultError> {
        let survey = Survey::take(&store, &keyring).await?;
        if survey.unknown().total() > 0 {
            return Err(VaultError::OtherKey(survey.unknown()));
        }
        let (purpose, id) = CANARY;
        let sealed = keyring.seal(purpose, id, CANARY_SAYS)?;
        let row = store.secret_add(key(purpose, id), sealed.clone(), keyring.current_id().to_string(), now).await?;
        match open_row(&keyring, &row) {
            Ok(_) => {}
            // Another process made it just now, with another key.
            Err(OpenError::UnknownKey(_)) => {
                return Err(VaultError::OtherKey(Census([(purpose.to_owned(), 1)].into())));
            }
            Err(OpenError::Version) => return Err(VaultError::Open(OpenError::Version)),
            Err(OpenError::Malformed | OpenError::Refused | OpenError::NotText) => return Err(VaultError::Damaged),
        }
        Ok(Opened { vault: Self { store, keyring }, is_new: row.sealed == sealed, waiting: survey.waiting() })
    }

    /// What seals and opens, for values that live too briefly to be kept here: minutes.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Keeps a value, in place of the one that is there.
    ///
    /// # Errors
    /// When it cannot be sealed or stored; then the one that is there stays.
    pub async fn put(&self, purpose: &str, id: &str, plain: &[u8], now: OffsetDateTime) -> Result<(), VaultError> {
        let sealed = self.keyring.seal(purpose, id, plain)?;
        let key_id = self.keyring.current_id().to_string();
        Ok(self.store.secret_put(key(purpose, id), sealed, key_id, now).await?)
    }

    /// Gives a value back; none when there is none.
    ///
    /// # Errors
    /// When the database does not answer, or the value does not open.
    pub async fn get(&self, purpose: &str, id: &str) -> Result<Option<SecretSlice<u8>>, VaultError> {
        let row = self.store.secret_get(&key(purpose, id)).await?;
        Ok(row.map(|row| open_row(&self.keyring, &row)).transpose()?)
    }

    /// Gives a value back that was kept as text.
    ///
    /// # Errors
    /// When the database does not answer, or the value does not open or is no text.
    pub async fn get_text(&self, purpose: &str, id: &str) -> Result<Option<SecretString>, VaultError> {
        let row = self.store.secret_get(&key(purpose, id)).await?;
        Ok(row.map(|row| self.keyring.open_text(purpose, id, &row.sealed)).transpose()?)
    }

    /// Forgets a value. Whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete(&self, purpose: &str, id: &str) -> Result<bool, VaultError> {
        Ok(self.store.secret_delete(&key(purpose, id), None).await?)
    }
}

fn key(purpose: &str, id: &str) -> SecretKey {
    SecretKey { purpose: purpose.to_owned(), id: id.to_owned() }
}

pub(super) fn open_row(keyring: &Keyring, row: &SecretRow) -> Result<SecretSlice<u8>, OpenError> {
    keyring.open(&row.key.purpose, &row.key.id, &row.sealed)
}
