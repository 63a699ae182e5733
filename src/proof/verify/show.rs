//! The report for people.

use std::io::{self, Write};

use super::{Code, Finding, Report, Verdict};

/// Findings that are shown.
const SHOWN: usize = 20;

fn line(out: &mut dyn Write, head: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{head:<13}{}", plain(text))
}

impl Report {
    /// Writes the report for people: what was trusted, what was there, what was found, what was not
    /// looked at, the verdict, and what to do next.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_anchors(out)?;
        self.write_records(out)?;
        self.write_findings(out)?;
        line(out, "VERDICT", &self.verdict.to_string())?;
        for text in self.next_steps() {
            line(out, "next", &text)?;
        }
        Ok(())
    }

    fn write_anchors(&self, out: &mut dyn Write) -> io::Result<()> {
        line(out, "log", &self.origin)?;
        match &self.anchoring.signer {
            Some(signer) => line(out, "trust", &format!("key P-256 SPKI sha256:{signer}"))?,
            None => line(out, "trust", "no anchor that counts")?,
        }
        if self.anchoring.development && self.anchors > 0 {
            line(out, "", "DEVELOPMENT ANCHORS: a software key or a folder stands in for KMS and S3;")?;
            line(out, "", "whoever runs the gateway can make them anew, so they prove nothing to others")?;
        }
        if let Some(exported_at) = &self.exported_at {
            line(out, "exported", &format!("at {exported_at}, as the export says"))?;
        }
        line(out, "anchors", &self.anchors_line())?;
        if let Some(last) = self.last_good_anchor {
            let size = grouped(last.size);
            line(
                out,
                "",
                &format!("the last that matches is number {} of epoch {} ({size} records)", last.number, last.epoch),
            )?;
        }
        if let Some(seconds) = self.anchoring.clock_s {
            line(out, "clock", &format!("anchors and bucket differ by {} s at most", grouped(seconds)))?;
        }
        Ok(())
    }

    fn write_records(&self, out: &mut dyn Write) -> io::Result<()> {
        line(out, "records", &self.records_line())?;
        if self.tail.records > 0 {
            let newest = self.tail.newest.as_deref().unwrap_or("unknown");
            let count = grouped(self.tail.records);
            line(
                out,
                "tail",
                &format!("{count} records after the last anchor, newest {newest} (chained, not anchored yet)"),
            )?;
        }
        if let Some(values) = &self.values {
            let (matched, erased) = (grouped(values.matched), grouped(values.erased));
            line(out, "values", &format!("{matched} match their commitments, {erased} were erased as records say"))?;
        }
        for broken in &self.breaks {
            let word = if broken.accepted { "accepted" } else { "NOT ACCEPTED" };
            let lost = format!("{} to {}", grouped(broken.kept + 1), grouped(broken.lost));
            line(
                out,
                "break",
                &format!("epoch {}, record {}: lost what was {lost}; {word}", broken.epoch, broken.record),
            )?;
        }
        if self.interrupted_total + self.in_flight > 0 {
            let (dead, open) = (grouped(self.interrupted_total), grouped(self.in_flight));
            line(
                out,
                "intents",
                &format!("{dead} without an outcome (a crash, no tampering), {open} still in flight"),
            )?;
        }
        Ok(())
    }

    fn write_findings(&self, out: &mut dyn Write) -> io::Result<()> {
        for (at, text) in self.not_checked.iter().enumerate() {
            line(out, if at == 0 { "not checked" } else { "" }, text)?;
        }
        for finding in self.findings.iter().take(SHOWN) {
            line(out, "FINDING", &finding.to_string())?;
        }
        let more = self.findings_total.saturating_sub(u64::try_from(SHOWN).unwrap_or_default());
        if more > 0 {
            line(out, "", &format!("and {} more; --json lists up to a hundred of each kind", grouped(more)))?;
        }
        Ok(())
    }

    fn anchors_line(&self) -> String {
        let told = &self.anchoring;
        let mut text = format!("{} given, {} good", grouped(self.anchors), grouped(told.good));
        if let (Some(made_at), Some(next_due)) = (&told.made_at, &told.next_due) {
            let (late, longest) = (grouped(told.late), grouped(told.longest_s));
            text.push_str(&format!(
                ", {late} late, longest time between two {longest} s, the last made at {made_at} (next due {next_due})"
            ));
        }
        text
    }

    fn records_line(&self) -> String {
        let known = match self.good_until {
            0 => "none known good".to_owned(),
            good => format!("known good until {}", grouped(good)),
        };
        let (first, last) = (grouped(self.first), grouped(self.last));
        format!("{} of the range {first} to {last} hashed from their bytes; {known}", grouped(self.records))
    }

    fn next_steps(&self) -> Vec<String> {
        match self.verdict {
            Verdict::Verified => vec!["keep the trust file, and check again when the log has grown".to_owned()],
            Verdict::Tampered => self.after_tampering(),
            Verdict::Incomplete => {
                let mut codes: Vec<Code> = self.findings.iter().map(|finding| finding.code).collect();
                codes.sort_unstable();
                codes.dedup();
                codes.into_iter().filter_map(step).map(str::to_owned).collect()
            }
        }
    }

    fn after_tampering(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if let Some(record) = self.first_bad_record {
            steps.push(format!("the first damaged record is {}", grouped(record)));
        }
        if let Some(anchor) = self.first_bad_anchor {
            steps.push(format!("the first damaged anchor is {}", grouped(anchor)));
        }
        if self.good_until > 0 {
            steps.push(format!("records {} to {} are known good", grouped(self.first), grouped(self.good_until)));
        }
        steps.push("keep database, bucket and this evidence as they are; compare with an earlier copy".to_owned());
        steps
    }
}

/// What to do about a code that makes evidence incomplete.
const fn step(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::Version => "use the version of this program that belongs to the gateway",
        Code::Break => "ask why records were lost; if that is in order, add the break to the trust file",
        Code::Gap => "give a whole copy of the bucket (--anchors); anchors missing there were deleted or never made",
        Code::Unanchored => {
            "give a copy of the bucket (--anchors); until it is anchored, the end of a log proves nothing"
        }
        Code::Base => "export a range that begins behind an anchor, or from record 1",
        Code::Tail | Code::Stale => {
            "ask the operator whether anchors are still made; a gateway without them may hide its end"
        }
        Code::Future => "compare the clocks of this machine and of the gateway",
        Code::Empty => "export a range that holds records",
        _ => return None,
    })
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        match (self.record, self.anchor, self.epoch) {
            (Some(record), ..) => write!(f, ", record {}", grouped(record))?,
            (None, Some(anchor), Some(epoch)) => write!(f, ", anchor {} of epoch {epoch}", grouped(anchor))?,
            (None, None, Some(epoch)) => write!(f, ", epoch {epoch}")?,
            (None, Some(anchor), None) => write!(f, ", anchor {}", grouped(anchor))?,
            (None, None, None) => {}
        }
        write!(f, ": {}", self.detail)
    }
}

/// A number with commas: 8,412,077.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What evidence says, as it may go to a terminal: nothing in it moves the cursor or turns the
/// direction of writing.
fn plain(text: &str) -> String {
    let is_hostile = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hostile(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{grouped, plain};

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (8_412_077, "8,412,077")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn evidence_does_not_write_on_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\nb\u{202e}c"), "a [2J b c");
    }
}
