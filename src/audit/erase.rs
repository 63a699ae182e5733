//! Erasing personal values. The record of it comes first: what is gone without one is a finding. Broken off
//! between the two, the same erasure is made again, which records it again.

use std::collections::BTreeMap;

use super::{Actor, Event, EventKind, Keeper, Unavailable, Writer};
use crate::store::{PrivateOf, StoreError};

/// Values of one round. Numbers of 16 digits and a comma each, with room for names: far below [`super::ERASED`].
const ROUND: u64 = 3_000;
/// Shortest and longest reason and name.
const WORDS: (usize, usize) = (3, 500);

/// Whose values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one record.
    Record(u64),
    /// Those of a person, by id: where they came from when they acted, and what records about them hold.
    Person(String),
}

/// What is to be erased, why, and who agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    whose: Whose,
    name: Option<String>,
    basis: String,
    approver: String,
}

/// Why nothing (more) was erased. What was erased until then is erased, and on the record.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No reason was given.
    #[error("say why these values must be erased, in {} to {} bytes", WORDS.0, WORDS.1)]
    Basis,
    /// Nobody agreed.
    #[error("say who agreed to the erasure, in {} to {} bytes", WORDS.0, WORDS.1)]
    Approver,
    /// It could not be put on the record, so nothing was erased.
    #[error(transparent)]
    Unrecorded(#[from] Unavailable),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Erasure {
    /// Names what is to be erased: the values of a record or of a person, or those of them with that name.
    /// `basis` says why, `approver` who agreed.
    ///
    /// # Errors
    /// [`EraseError::Basis`] and [`EraseError::Approver`] when these say nothing, or more than a record keeps.
    pub fn new(whose: Whose, name: Option<String>, basis: &str, approver: &str) -> Result<Self, EraseError> {
        let (basis, approver) = (basis.trim().to_owned(), approver.trim().to_owned());
        let within = |text: &str| (WORDS.0..=WORDS.1).contains(&text.len());
        if !within(&basis) {
            return Err(EraseError::Basis);
        }
        if !within(&approver) {
            return Err(EraseError::Approver);
        }
        Ok(Self { whose, name, basis, approver })
    }

    /// How many values it would erase now, by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count(&self, keeper: &Keeper) -> Result<BTreeMap<String, u64>, EraseError> {
        let mut counts = BTreeMap::new();
        for part in self.parts(keeper).await? {
            for (name, count) in keeper.store().private_count(&part, self.name.as_deref()).await? {
                *counts.entry(name).or_default() += count;
            }
        }
        Ok(counts)
    }

    async fn parts(&self, keeper: &Keeper) -> Result<Vec<PrivateOf>, StoreError> {
        match &self.whose {
            Whose::Record(seq) => Ok(vec![PrivateOf::Record(*seq)]),
            Whose::Person(id) => {
                // Records about a person are found by the index.
                keeper.index(keeper.store().head().await?.map_or(0, |(_, head)| head.seq)).await?;
                Ok(vec![PrivateOf::ActedBy(id.clone()), PrivateOf::About(id.clone())])
            }
        }
    }

    /// Records what is about to be erased, then erases it, round by round; `actor` is who does it. Says how
    /// many values are gone.
    ///
    /// # Errors
    /// See [`EraseError`]; the same erasure can be made again.
    pub async fn run(&self, keeper: &Keeper, audit: &Writer, actor: &Actor) -> Result<u64, EraseError> {
        let mut gone = 0;
        for part in self.parts(keeper).await? {
            let mut after = None;
            loop {
                let round = keeper.store().private_find(&part, self.name.as_deref(), after.as_ref(), ROUND).await?;
                let Some(last) = round.last().cloned() else { break };
                audit.append(self.event(&round, actor)).await?;
                gone += keeper.store().private_erase(&round).await?;
                after = Some(last);
            }
        }
        Ok(gone)
    }

    fn event(&self, round: &[(u64, String)], actor: &Actor) -> Event {
        let mut event = Event::new(EventKind::Erasure, "", "audit:erase");
        event.actor = Some(actor.clone());
        event.detail.insert("basis".to_owned(), self.basis.clone());
        event.detail.insert("approver".to_owned(), self.approver.clone());
        if let Whose::Person(id) = &self.whose {
            event.detail.insert("user".to_owned(), id.clone());
        }
        for (seq, name) in round {
            event.erased.entry(name.clone()).or_default().push(*seq);
        }
        event
    }
}
