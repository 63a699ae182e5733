//! Personal values beside the records: each matches its commitment, or was erased on the record.

use std::collections::BTreeSet;
use std::ops::Range;

use super::pairs::Lost;
use super::report::{Findings, Values};
use super::{Code, Evidence, Finding, GivenValue};
use crate::proof::chain::Hash;
use crate::proof::commitment::commit;

/// Names a value: its record, its name.
type Name = (u64, Box<str>);

#[derive(Debug, Default)]
pub(super) struct ValueCheck {
    next: Option<GivenValue>,
    has_begun: bool,
    /// The value that came last, for the order.
    before: Option<Name>,
    /// Commitments without a value that no record so far says were erased.
    missing: BTreeSet<Name>,
    /// Values that were erased by a record before theirs was seen.
    erased: BTreeSet<Name>,
    /// Records that are passed over.
    passed: Range<u64>,
    pub(super) told: Values,
}

impl ValueCheck {
    /// Values of these records are not looked at.
    pub(super) fn pass(&mut self, records: Range<u64>) {
        self.passed = records;
    }

    /// The next value that is in order.
    fn advance<E: Evidence>(&mut self, evidence: &mut E, findings: &mut Findings) -> Result<(), E::Error> {
        self.has_begun = true;
        self.next = None;
        while let Some(value) = evidence.value()? {
            let Some(seq) = value.seq else {
                findings.add(Finding::whole(Code::Private, "a line that is no personal value"));
                continue;
            };
            let name: Name = (seq, value.name.as_str().into());
            if self.before.as_ref().is_some_and(|before| *before >= name) {
                findings.add(Finding::record(Code::Private, seq, "a personal value out of order, or there twice"));
                continue;
            }
            self.before = Some(name);
            if !self.passed.contains(&seq) {
                self.next = Some(value);
                break;
            }
        }
        Ok(())
    }

    /// Takes the next value that belongs to a record up to `seq`.
    fn take<E: Evidence>(
        &mut self,
        seq: u64,
        evidence: &mut E,
        findings: &mut Findings,
    ) -> Result<Option<(u64, GivenValue)>, E::Error> {
        if !self.has_begun {
            self.advance(evidence, findings)?;
        }
        let Some(at) = self.next.as_ref().and_then(|value| value.seq).filter(|at| *at <= seq) else { return Ok(None) };
        let value = self.next.take();
        self.advance(evidence, findings)?;
        Ok(value.map(|value| (at, value)))
    }

    /// Checks the values of a record, and of those before it that were not looked at.
    pub(super) fn record<E: Evidence>(
        &mut self,
        seq: u64,
        private: &[(Box<str>, Option<Hash>)],
        lost: &Lost,
        evidence: &mut E,
        findings: &mut Findings,
    ) -> Result<(), E::Error> {
        let mut matched = BTreeSet::new();
        while let Some((at, value)) = self.take(seq, evidence, findings)? {
            if at < seq {
                stray(at, lost, findings);
                continue;
            }
            let commitment = private.iter().find(|(name, _)| **name == *value.name);
            let problem = match commitment {
                None => "a personal value that the record does not commit to",
                Some((_, Some(hash))) if *hash == commit(&value.salt, &value.value) => {
                    self.told.matched += 1;
                    matched.insert(value.name);
                    continue;
                }
                Some(_) => "a personal value does not match its commitment",
            };
            matched.insert(value.name);
            findings.add(Finding::record(Code::Private, seq, problem));
        }
        self.told.committed += u64::try_from(private.len()).unwrap_or_default();
        for (name, _) in private.iter().filter(|(name, _)| !matched.contains(&**name)) {
            let name: Name = (seq, name.clone());
            if self.erased.remove(&name) {
                self.told.erased += 1;
            } else {
                self.missing.insert(name);
            }
        }
        Ok(())
    }

    /// A record says that values were erased. `at` is its number, `first` the first record that is looked at.
    pub(super) fn erase(&mut self, erased: &[(Box<str>, u64)], at: u64, first: u64) {
        for (name, seq) in erased.iter().filter(|(_, seq)| *seq >= first) {
            let name: Name = (*seq, name.clone());
            if self.missing.remove(&name) {
                self.told.erased += 1;
            } else if *seq > at {
                self.erased.insert(name);
            }
        }
    }

    /// What remains. `is_whole`: whether every erasure that there is was looked at.
    pub(super) fn finish<E: Evidence>(
        &mut self,
        is_whole: bool,
        lost: &Lost,
        evidence: &mut E,
        findings: &mut Findings,
    ) -> Result<(), E::Error> {
        while let Some((at, _)) = self.take(u64::MAX, evidence, findings)? {
            stray(at, lost, findings);
        }
        for (seq, name) in self.missing.iter().filter(|_| is_whole) {
            let detail = format!("{name} is missing, and no record says that it was erased");
            findings.add(Finding::record(Code::Unerased, *seq, detail));
        }
        Ok(())
    }

    /// Values that are missing as far as is known.
    pub(super) fn missing(&self) -> usize {
        self.missing.len()
    }
}

/// A value whose record was not looked at.
fn stray(seq: u64, lost: &Lost, findings: &mut Findings) {
    if !lost.contains(seq) {
        findings.add(Finding::record(Code::Private, seq, "a personal value without a record"));
    }
}
