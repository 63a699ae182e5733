//! What the state says when the database was read, and when it was not.

use std::sync::atomic::{AtomicI64, Ordering};

use super::super::anchor::Fault;
use super::*;

/// A clock, and its hands in seconds since 1970.
fn clock() -> (Clock, Arc<AtomicI64>) {
    let hands = Arc::new(AtomicI64::new(1_000_000));
    let shown = Arc::clone(&hands);
    let at = move || OffsetDateTime::from_unix_timestamp(shown.load(Ordering::SeqCst)).unwrap();
    (Clock::from_fn(at), hands)
}

fn put(anchors: &Anchors, change: impl FnOnce(&mut Known)) {
    let shared = anchors.known.as_ref().unwrap();
    let mut known = Known::clone(&shared.load());
    change(&mut known);
    shared.store(Arc::new(known));
}

#[test]
fn the_level_follows_the_age() {
    let limits = AnchorLimits::default();
    let never = AnchorLimits { refuse: None, ..limits };
    let cases = [
        (&limits, 0, 0, AnchorLevel::Green),
        (&limits, 299, 0, AnchorLevel::Green),
        (&limits, 300, 0, AnchorLevel::Amber),
        (&limits, 899, 0, AnchorLevel::Amber),
        (&limits, 900, 0, AnchorLevel::Red),
        (&limits, 3599, 0, AnchorLevel::Red),
        (&limits, 3600, 0, AnchorLevel::Overdue),
        (&never, 1_000_000, 0, AnchorLevel::Red),
        // An anchor that does not come is told, but it refuses nothing while nothing waits.
        (&limits, 0, 299, AnchorLevel::Green),
        (&limits, 0, 300, AnchorLevel::Amber),
        (&limits, 0, 1_000_000, AnchorLevel::Amber),
    ];
    for (limits, age, late, expected) in cases {
        let found = level(limits, Duration::from_secs(age), Duration::from_secs(late));
        assert_eq!(found, expected, "{age} {late}");
    }
}

#[test]
fn what_nobody_looks_at_grows_old() {
    let (clock, hands) = clock();
    let anchors = Anchors::new(clock, false, None);
    assert_eq!((anchors.state().level, anchors.state().unanchored_s), (AnchorLevel::Green, 0));
    for (passed, level) in
        [(4, AnchorLevel::Green), (300, AnchorLevel::Amber), (900, AnchorLevel::Red), (3600, AnchorLevel::Overdue)]
    {
        hands.store(1_000_000 + passed, Ordering::SeqCst);
        assert_eq!(anchors.state().level, level, "{passed}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_young() {
    let (clock, hands) = clock();
    let anchors = Anchors::new(clock.clone(), false, None);
    let since = clock.now() - Duration::from_secs(1000);
    put(&anchors, |known| known.waiting = Waiting::new(since, true, clock.now()));
    assert_eq!(anchors.state().unanchored_s, 1000);
    hands.store(0, Ordering::SeqCst);
    assert!(anchors.state().unanchored_s >= 1000);
    assert_eq!(anchors.state().level, AnchorLevel::Red);
}

/// Epoch and size of the last anchor, the epochs begun and what they kept, what is covered.
type Case = ((u64, u64), &'static [(u64, u64)], u64);

#[test]
fn an_epoch_that_was_begun_takes_back_what_covered_it() {
    let cases: [Case; 5] = [
        ((1, 2000), &[], 2000),
        ((1, 2000), &[(2, 1000)], 1000),
        ((1, 500), &[(2, 1000)], 500),
        ((2, 2000), &[(2, 1000)], 2000),
        ((1, 2000), &[(2, 1000), (3, 900)], 900),
    ];
    for (anchor, epochs, expected) in cases {
        let row = |(number, kept): &(u64, u64)| EpochRow { number: *number, seq: 5000, kept: *kept };
        let epochs: Vec<_> = epochs.iter().map(row).collect();
        assert_eq!(covered(anchor, &epochs), expected, "{anchor:?} {epochs:?}");
    }
}

#[test]
fn trouble_is_over_when_somebody_else_makes_an_anchor() {
    let last = |number| Last {
        epoch: 1,
        number,
        size: 1,
        made_at: String::new(),
        next_due: String::new(),
        made: None,
        due: None,
    };
    let failed = |failures| AnchorStatus { fault: None, trouble: Some("S3 does not answer".to_owned()), failures };
    let first = Heard::of(&failed(1), Some(&last(7)), &Heard::default());
    assert!(first.trouble.is_some());
    let still = Heard::of(&failed(1), Some(&last(7)), &first);
    assert!(still.trouble.is_some());
    let over = Heard::of(&failed(1), Some(&last(8)), &still);
    assert_eq!(over.trouble, None);
    assert!(Heard::of(&failed(2), Some(&last(8)), &over).trouble.is_some());
    assert_eq!(Heard::of(&AnchorStatus::default(), Some(&last(8)), &over).trouble, None);
    let fault = Some(Fault::Skew { seconds: 400 });
    let contradiction = AnchorStatus { fault, trouble: None, failures: 1 };
    assert!(Heard::of(&contradiction, Some(&last(9)), &first).trouble.unwrap().contains("400 seconds"));
}

#[test]
fn every_fault_is_told() {
    let (clock, _) = clock();
    let anchors = Anchors::new(clock.clone(), true, None);
    assert_eq!(anchors.state().fault, None);
    anchors.say(Some("the tree was changed".to_owned()));
    put(&anchors, |known| known.unread = Some("no answer in time".to_owned()));
    assert_eq!(anchors.state().fault.unwrap(), "the tree was changed; no answer in time");
    assert!(anchors.state().development);
    anchors.say(None);
    assert_eq!(anchors.state().fault.unwrap(), "no answer in time");
    let off = Anchors::off(clock).state();
    assert_eq!((off.level, off.unanchored_s), (AnchorLevel::Off, 0));
}
