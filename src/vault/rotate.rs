//! Changing the key: everything is sealed again under the current one, while the gateway works.

use secrecy::ExposeSecret;
use time::OffsetDateTime;

use crate::store::{SecretRow, Store};

use super::kept::{Census, Survey, VaultError, open_row};
use super::{Keyring, OpenError};

/// Values that are read at once.
const BATCH: u64 = 100;
/// How often to look again for what was written meanwhile. Only a process that still seals under
/// the old key makes more than two necessary, and it may go on forever.
const PASSES: u32 = 10;

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Values that it sealed again.
    pub resealed: u64,
    /// Values that do not open, by neither key.
    pub unreadable: Census,
    /// Values that are not under the current key when it ends. When there are none, the previous
    /// key is not needed any more.
    pub left: Census,
}

/// Seals everything under the current key that is not. Broken off, it goes on where it was when it
/// is called again; a value that is written meanwhile is never overwritten. `progress` is told how
/// many are done, after each batch.
///
/// # Errors
/// When the database does not answer; what is done stays done.
pub async fn rotate(
    store: &Store,
    keyring: &Keyring,
    now: OffsetDateTime,
    mut progress: impl FnMut(u64),
) -> Result<Rotation, VaultError> {
    let mut rotation = Rotation::default();
    for _ in 0..PASSES {
        let before = rotation.resealed;
        let pass = pass(store, keyring, now, &mut |done| progress(before + done)).await?;
        rotation.resealed += pass.resealed;
        rotation.unreadable = pass.unreadable;
        if pass.resealed + pass.overtaken == 0 {
            break;
        }
    }
    let survey = Survey::take(store, keyring).await?;
    let mut left = survey.waiting();
    survey.unknown().0.iter().for_each(|(purpose, count)| left.add(purpose, *count));
    Ok(Rotation { left, ..rotation })
}

#[derive(Default)]
struct Pass {
    resealed: u64,
    /// Replaced or deleted by somebody else between reading and writing.
    overtaken: u64,
    unreadable: Census,
}

async fn pass(
    store: &Store,
    keyring: &Keyring,
    now: OffsetDateTime,
    progress: &mut impl FnMut(u64),
) -> Result<Pass, VaultError> {
    let current = keyring.current_id().to_string();
    let mut pass = Pass::default();
    let mut after = None;
    loop {
        let rows = store.secret_page(Some(&current), after.as_ref(), BATCH).await?;
        let Some(last) = rows.last() else { return Ok(pass) };
        after = Some(last.key.clone());
        for row in &rows {
            let Ok(plain) = open_row(keyring, row) else {
                pass.unreadable.add(&row.key.purpose, 1);
                continue;
            };
            let sealed = keyring.seal(&row.key.purpose, &row.key.id, plain.expose_secret())?;
            let counter = match store.secret_reseal(row, sealed, current.clone(), now).await? {
                true => &mut pass.resealed,
                false => &mut pass.overtaken,
            };
            *counter += 1;
        }
        progress(pass.resealed);
    }
}

/// Stored values that no key opens.
#[derive(Clone, Debug)]
pub struct Loss {
    rows: Vec<SecretRow>,
}

impl Loss {
    /// Tries to open everything. Deletes nothing. A value of a newer version is not counted: the
    /// newer gateway opens it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find(store: &Store, keyring: &Keyring) -> Result<Self, VaultError> {
        let mut lost = Vec::new();
        let mut after = None;
        loop {
            let rows = store.secret_page(None, after.as_ref(), BATCH).await?;
            let Some(last) = rows.last() else { return Ok(Self { rows: lost }) };
            after = Some(last.key.clone());
            let is_lost = |row: &SecretRow| !matches!(open_row(keyring, row), Ok(_) | Err(OpenError::Version));
            lost.extend(rows.into_iter().filter(is_lost));
        }
    }

    /// How many of each purpose.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        self.rows.iter().for_each(|row| census.add(&row.key.purpose, 1));
        census
    }

    /// Deletes them, and nothing that was put in their place since. Must be on the record before.
    ///
    /// # Errors
    /// When the database does not answer; what is deleted stays deleted.
    pub async fn accept(self, store: &Store) -> Result<(), VaultError> {
        for row in &self.rows {
            store.secret_delete(&row.key, Some(&row.sealed)).await?;
        }
        Ok(())
    }
}
