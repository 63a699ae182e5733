//! Declared breaks of the log: whether each fits the anchors, and which anchors it takes out of the
//! comparison.

use super::anchors::{Anchors, Run};
use super::facts::Declared;
use super::report::{Break, Findings};
use super::{Code, Finding};
use crate::proof::trust::Trust;

#[derive(Debug, Default)]
pub(super) struct Epochs {
    /// In order, each with the record that declares it.
    declared: Vec<(u64, Declared)>,
    /// The epoch in which the range begins: which anchors of those before it were kept, a record before
    /// the range says.
    pub(super) begin: u64,
}

impl Epochs {
    /// A record declares an epoch; `epoch` is that of the base, 1 in a log from its begin.
    pub(super) fn declare(
        &mut self,
        record: u64,
        declared: Declared,
        epoch: u64,
        (anchors, findings): (&Anchors<'_>, &mut Findings),
    ) {
        if let Some(detail) = self.misfit(record, &declared, epoch, anchors) {
            findings.add(Finding::record(Code::Epoch, record, detail));
        }
        self.declared.push((record, declared));
    }

    fn misfit(&self, record: u64, declared: &Declared, epoch: u64, anchors: &Anchors<'_>) -> Option<String> {
        let newest = self.declared.iter().map(|(_, declared)| declared.number).max().unwrap_or(epoch);
        let number = declared.number;
        if number <= newest {
            return Some(format!("it declares epoch {number} after epoch {newest}"));
        }
        let Some(last) = anchors.last_below(number) else {
            return Some("it names the last anchor before the break, but there is none".to_owned());
        };
        if (declared.anchor, declared.checkpoint, declared.lost) != (last.number, Some(last.checkpoint), last.size) {
            return Some(format!("the last anchor before the break is {} ({} records)", last.number, last.size));
        }
        let is_kept = |run: &Run| run.epoch < number && run.size == declared.kept;
        if declared.kept >= record || (declared.kept != 0 && !anchors.runs.iter().any(is_kept)) {
            return Some(format!("no anchor before the break covers just the {} records kept", declared.kept));
        }
        None
    }

    /// Whether what an anchor covers was lost in a break, as far as can be known.
    pub(super) fn is_lost(&self, run: &Run) -> bool {
        run.epoch < self.begin
            || self.declared.iter().any(|(_, declared)| declared.number > run.epoch && declared.kept < run.size)
    }

    /// Anchors of epochs that no record declares; `end` is the last record that was reached.
    pub(super) fn undeclared(&self, runs: &[Run], epoch: u64, end: u64, findings: &mut Findings) {
        let mut told = 0;
        for run in runs.iter().filter(|run| run.epoch > epoch.max(1) && run.size <= end && !self.is_lost(run)) {
            let is_declared =
                |(record, declared): &(u64, Declared)| declared.number == run.epoch && *record <= run.size;
            if told != run.epoch && !self.declared.iter().any(is_declared) {
                told = run.epoch;
                let detail = format!("no record up to {} declares its epoch", run.size);
                findings.add(Finding::anchor(Code::Epoch, run.epoch, run.first, detail));
            }
        }
    }

    /// The breaks, and findings about those that are not accepted.
    pub(super) fn breaks(&self, trust: &Trust, findings: &mut Findings) -> Vec<Break> {
        let told = |(record, declared): &(u64, Declared)| {
            let Declared { number: epoch, kept, lost, .. } = *declared;
            let is_same = |known: &&crate::proof::trust::AcceptedBreak| {
                (known.epoch, known.kept, known.lost) == (epoch, kept, lost)
            };
            let accepted = trust.breaks.iter().find(is_same).is_some();
            if !accepted {
                let detail = format!("record {record} declares a break: records {} to {lost} were lost", kept + 1);
                findings.add(Finding { epoch: Some(epoch), ..Finding::whole(Code::Break, detail) });
            }
            Break { epoch, record: *record, kept, lost, accepted }
        };
        self.declared.iter().map(told).collect()
    }
}
