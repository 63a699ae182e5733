//! The records in order: where each stands, how chain and tree grow, and what anchors say of them.

use std::cmp::Ordering;

use super::anchors::{Anchors, Run};
use super::epochs::Epochs;
use super::facts::{Content, Facts, Kind};
use super::page::StoredRecord;
use super::pairs::{Lost, Pairs};
use super::report::{Findings, Tail, Verdict};
use super::tiles::Leaves;
use super::values::ValueCheck;
use super::{Code, Evidence, Finding};
use crate::proof::chain::{self, Hash};
use crate::proof::moment::Moment;
use crate::proof::tree::Frontier;

/// The state of the log at some record, from which a later check can go on.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) tree: Frontier,
    pub(super) chain: Hash,
    pub(super) pairs: Pairs,
}

#[derive(Debug)]
pub(super) struct Walk<'t> {
    pub(super) anchors: Anchors<'t>,
    pub(super) findings: Findings,
    /// First and last record of the range.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether the evidence has the values of the records.
    pub(super) has_values: bool,
    /// The epoch in which the range begins.
    pub(super) epoch: u64,
    /// What the tiles say.
    pub(super) leaves: Option<Leaves>,
    /// The tree and the chain before the expected record; none while they are not known.
    pub(super) tree: Option<Frontier>,
    pub(super) chain: Option<Hash>,
    /// Places of runs by their size, and which of them comes next.
    order: Vec<usize>,
    next: usize,
    pub(super) expected: u64,
    pub(super) count: u64,
    pub(super) epochs: Epochs,
    pub(super) lost: Lost,
    pub(super) pairs: Pairs,
    pub(super) values: ValueCheck,
    pub(super) tail: Tail,
    /// What the last good anchor covers and promises.
    promise: Option<(u64, Moment)>,
    has_tail: bool,
    /// The state at the size of the last good anchor.
    pub(super) point: Option<Point>,
    /// In a database: the chain value stored with the record before.
    stored: Option<Hash>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(anchors: Anchors<'t>, findings: Findings, (first, last): (u64, u64)) -> Self {
        let mut order: Vec<usize> = (0..anchors.runs.len()).collect();
        order.sort_by_key(|at| anchors.runs.get(*at).map_or(0, |run| run.size));
        let promise = anchors.newest().map(|(_, last)| (last.size, last.next_due));
        Self {
            findings,
            first,
            last,
            has_values: false,
            epoch: 1,
            leaves: None,
            tree: None,
            chain: None,
            order,
            next: 0,
            expected: first,
            count: 0,
            epochs: Epochs::default(),
            lost: Lost::default(),
            pairs: Pairs::default(),
            values: ValueCheck::default(),
            tail: Tail::default(),
            promise,
            has_tail: false,
            point: None,
            stored: None,
            anchors,
        }
    }

    /// Takes up tree and chain before the first record.
    pub(super) fn begin(&mut self, tree: Option<Frontier>, chain: Option<Hash>) {
        (self.tree, self.chain, self.stored) = (tree, chain, chain);
        self.epochs.begin = self.epoch;
        self.compare();
    }

    /// A database without a head does not say with which chain value it begins.
    pub(super) const fn forget_stored(&mut self) {
        self.stored = None;
    }

    /// Compares the anchors of the size that was reached.
    fn compare(&mut self) {
        let size = self.expected - 1;
        let mut root = None;
        while let Some(run) = self.order.get(self.next).and_then(|at| self.anchors.runs.get_mut(*at))
            && run.size <= size
        {
            self.next += 1;
            if run.size < size {
                continue;
            }
            root = root.or_else(|| self.tree.as_ref().map(Frontier::root));
            run.seen.other_root = root.is_some_and(|root| root != run.root);
            run.seen.other_chain = self.chain.is_some_and(|chain| chain != run.chain);
            run.seen.is_match = root == Some(run.root) && !run.seen.other_chain;
            if run.seen.is_match && self.chain.is_none() {
                self.chain = Some(run.chain);
            }
        }
    }

    /// Keeps the state at the size of the last good anchor, before anything that follows.
    pub(super) fn remember(&mut self) {
        if self.point.is_none()
            && self.promise.is_some_and(|(promised, _)| promised == self.expected - 1)
            && let (Some(tree), Some(chain)) = (&self.tree, self.chain)
        {
            self.point = Some(Point { tree: tree.clone(), chain, pairs: self.pairs.clone() });
        }
    }

    /// Adds the expected record to tree and chain, as far as it is known for each.
    fn grow(&mut self, leaf: Option<Hash>, link: Option<Hash>) {
        match (&mut self.tree, leaf) {
            (Some(tree), Some(leaf)) => tree.push(leaf),
            _ => self.tree = None,
        }
        self.chain = self.chain.zip(link).map(|(chain, leaf)| chain::link(&chain, &leaf));
        self.expected += 1;
        self.compare();
    }

    fn leaf<E: Evidence>(&mut self, seq: u64, evidence: &mut E) -> Result<Option<Hash>, E::Error> {
        match &mut self.leaves {
            Some(leaves) => leaves.leaf(seq, evidence),
            None => Ok(None),
        }
    }

    /// Records from the expected one to `last` are not there.
    pub(super) fn miss<E: Evidence>(&mut self, last: u64, evidence: &mut E) -> Result<(), E::Error> {
        let first = self.expected;
        let detail = if first == last {
            "the record is missing".to_owned()
        } else {
            format!("records {first} to {last} are missing")
        };
        self.findings.add(Finding::record(Code::Missing, first, detail));
        self.lost.add(first, last);
        self.stored = None;
        while self.expected <= last {
            let leaf = self.leaf(self.expected, evidence)?;
            if leaf.is_none() {
                (self.tree, self.chain) = (None, None);
                self.expected = last + 1;
                self.compare();
                break;
            }
            self.grow(leaf, None);
        }
        Ok(())
    }

    /// Checks the next record.
    pub(super) fn record<E: Evidence>(
        &mut self,
        facts: Facts,
        stored: Option<&StoredRecord>,
        evidence: &mut E,
    ) -> Result<(), E::Error> {
        self.count += 1;
        self.remember();
        let seq = stored.map(|stored| stored.seq).or(facts.seq).unwrap_or(self.expected);
        if seq < self.expected || seq > self.last {
            let (code, detail) = match facts.content {
                Err(flaw) if facts.seq.is_none() => (flaw.code, flaw.detail),
                _ => (Code::Number, format!("out of place, where record {} is expected", self.expected)),
            };
            self.findings.add(Finding::record(code, seq, detail));
            return Ok(());
        }
        if seq > self.expected {
            self.miss(seq - 1, evidence)?;
        }
        if let Some(stored) = stored {
            self.look_at_stored(seq, &facts, stored);
        }
        let anchored = self.leaf(seq, evidence)?;
        let is_other = anchored.is_some_and(|anchored| anchored != facts.leaf);
        if is_other {
            self.findings.add(Finding::record(Code::Leaf, seq, "not the record that was anchored"));
            self.grow(anchored, None);
        } else {
            self.grow(Some(facts.leaf), Some(facts.leaf));
        }
        match facts.content {
            Ok(_) if facts.seq != Some(seq) => {
                self.findings.add(Finding::record(Code::Number, seq, "made under another number"));
            }
            Ok(_) if is_other => {}
            Ok(content) => return self.look_at(seq, content, evidence),
            Err(flaw) => self.findings.add(Finding::record(flaw.code, seq, flaw.detail)),
        }
        self.lost.add(seq, seq);
        Ok(())
    }

    /// What a database says beside the bytes: one edit is one finding, so it goes on with what is stored.
    fn look_at_stored(&mut self, seq: u64, facts: &Facts, stored: &StoredRecord) {
        if let Some(detail) = facts.column {
            self.findings.add(Finding::record(Code::Column, seq, detail));
        }
        let leaf: Hash = stored.leaf.as_slice().try_into().unwrap_or(facts.leaf);
        let value: Option<Hash> = stored.chain.as_slice().try_into().ok();
        let expected = self.stored.map(|chain| chain::link(&chain, &leaf));
        if value.is_none() || expected.is_some_and(|expected| Some(expected) != value) {
            self.findings.add(Finding::record(Code::Column, seq, "the stored chain breaks at this record"));
        }
        self.stored = value;
    }

    fn look_at<E: Evidence>(&mut self, seq: u64, content: Content, evidence: &mut E) -> Result<(), E::Error> {
        if seq == 1 && !content.begins {
            self.findings.add(Finding::record(Code::Begin, 1, "the first record does not begin this log"));
        }
        match content.kind {
            Kind::Intent => {
                self.pairs.open.insert(seq, content.ts);
            }
            Kind::Outcome(intent, is_unknown) => self.look_at_outcome(seq, intent, is_unknown),
            Kind::Other => {}
        }
        match content.epoch {
            Some(Some(declared)) => {
                self.epochs.declare(seq, *declared, self.epoch, (&self.anchors, &mut self.findings));
            }
            Some(None) => {
                self.findings.add(Finding::record(Code::Epoch, seq, "it declares an epoch, but not which"));
            }
            None => {}
        }
        self.look_at_time(seq, content.ts);
        if self.has_values {
            self.values.record(seq, &content.private, &self.lost, evidence, &mut self.findings)?;
            self.values.erase(&content.erased, seq, self.first);
        }
        Ok(())
    }

    fn look_at_outcome(&mut self, seq: u64, intent: u64, is_unknown: bool) {
        let is_out_of_sight = (1..self.first).contains(&intent) || self.lost.contains(intent);
        if !self.pairs.end(intent, is_unknown) && !is_out_of_sight {
            let detail = format!("intent {intent} is not there, or had an outcome already");
            self.findings.add(Finding::record(Code::Outcome, seq, detail));
        }
    }

    fn look_at_time(&mut self, seq: u64, ts: Moment) {
        let Some((_, next_due)) = self.promise.filter(|(size, _)| seq > *size) else { return };
        self.tail.newest = Some(ts.to_string());
        if ts > next_due && !self.has_tail {
            self.has_tail = true;
            let detail = format!("written at {ts}, but the next anchor was promised until {next_due}");
            self.findings.add(Finding::record(Code::Tail, seq, detail));
        }
    }

    /// Anchors above the last record.
    pub(super) fn look_above(&mut self, is_whole: bool) {
        let end = self.expected - 1;
        let (mut is_missing, mut later) = (false, None);
        for run in self.anchors.runs.iter_mut().filter(|run| run.size > end) {
            if let Some(leaves) = &self.leaves {
                run.seen.is_match = (run.size, run.root) == (leaves.size, leaves.root);
            }
            if !is_whole || self.epochs.is_lost(run) {
                continue;
            }
            if run.is_later {
                later = later.max(Some(run.size));
            } else {
                is_missing = true;
            }
        }
        if is_missing {
            let detail = "records that were anchored are missing at the end";
            self.findings.add(Finding::record(Code::Missing, end + 1, detail));
        }
        self.anchors.told.later_size = later;
        if let Some((size, _)) = self.promise {
            self.tail.records = end.saturating_sub(size);
        }
    }

    /// What anchors said of the records, breaks considered.
    pub(super) fn look_at_anchors(&mut self) {
        let (mut has_root, mut has_chain) = (false, false);
        for run in self.anchors.runs.iter().filter(|run| !self.epochs.is_lost(run)) {
            if run.seen.other_root && !has_root {
                has_root = true;
                let detail = format!("the tree of the {} records has another root", run.size);
                self.findings.add(Finding::anchor(Code::Root, run.epoch, run.first, detail));
            }
            if run.seen.other_chain && !has_chain {
                has_chain = true;
                let detail = format!("the chain after record {} has another value", run.size);
                self.findings.add(Finding::anchor(Code::Chain, run.epoch, run.first, detail));
            }
        }
        self.epochs.undeclared(&self.anchors.runs, self.epoch, self.expected - 1, &mut self.findings);
    }

    /// Nothing is verified that no anchor spoke of: one that could not be compared, and why was not
    /// found, leaves the evidence incomplete.
    pub(super) fn look_at_silence(&mut self) {
        let here = self.first - 1..self.expected;
        let is_silent = |run: &&Run| here.contains(&run.size) && !run.seen.is_match && !self.epochs.is_lost(run);
        let silent = self.anchors.runs.iter().find(is_silent).map(|run| (run.epoch, run.first));
        if let Some((epoch, number)) = silent.filter(|_| self.findings.verdict() == Verdict::Verified) {
            let detail = format!("anchor {number} of epoch {epoch} could not be compared with the records");
            self.findings.add(Finding::whole(Code::Unanchored, detail));
        }
    }

    /// How the head of a database fits its last record.
    pub(super) fn look_at_head(&mut self, head: Option<(u64, Hash)>) {
        let last = self.expected - 1;
        let Some((seq, chain)) = head else {
            if last > 0 {
                self.findings.add(Finding::record(Code::Head, last, "the head of the log is missing"));
            }
            return;
        };
        match seq.cmp(&last) {
            Ordering::Less => {
                self.findings.add(Finding::record(Code::Head, seq + 1, format!("the head stands at record {seq}")));
            }
            Ordering::Equal if self.stored.is_some_and(|stored| stored != chain) => {
                self.findings.add(Finding::record(Code::Head, last, "the head has another chain value"));
            }
            Ordering::Equal | Ordering::Greater => {}
        }
    }
}
