//! How long to wait for the next attempt: from five seconds to six hours, for about three days.

use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;

/// The first pause; each is four times the one before.
const FIRST: u64 = 5;
const FACTOR: u64 = 4;
/// The longest pause, also where the receiver asks for a longer one.
const LONGEST: u64 = 6 * 3600;
/// Attempts until a notice is given up.
pub(super) const ATTEMPTS: u64 = 19;

/// The pause behind so many attempts; none when that was the last one. Never shorter than `asked`, as far
/// as the longest goes.
pub(super) fn pause(attempts: u64, asked: Option<Duration>) -> Option<Duration> {
    between(attempts, asked, jitter())
}

/// A tenth up or down, so that many that failed together do not come back together.
fn jitter() -> u64 {
    SysRng.try_next_u32().map_or(1000, |random| 900 + u64::from(random % 201))
}

fn between(attempts: u64, asked: Option<Duration>, permille: u64) -> Option<Duration> {
    if attempts >= ATTEMPTS {
        return None;
    }
    let power = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let seconds = FIRST.saturating_mul(FACTOR.saturating_pow(power)).min(LONGEST);
    let pause = Duration::from_millis(seconds.saturating_mul(permille));
    Some(pause.max(asked.unwrap_or_default().min(Duration::from_secs(LONGEST))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_six_hours_and_end_after_three_days() {
        let middle: Vec<_> = (1..).map_while(|attempts| between(attempts, None, 1000)).collect();
        assert_eq!(middle.len(), 18);
        let seconds: Vec<_> = middle.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..8], [5, 20, 80, 320, 1280, 5120, 20480, 21600]);
        let hours = middle.iter().sum::<Duration>().as_secs() / 3600;
        assert!((72..75).contains(&hours), "{hours}");
    }

    #[test]
    fn what_the_receiver_asks_for_counts_within_bounds() {
        let asked = |seconds| between(1, Some(Duration::from_secs(seconds)), 1000).unwrap().as_secs();
        assert_eq!([asked(0), asked(4), asked(60), asked(1_000_000)], [5, 5, 60, 21600]);
        assert_eq!(between(ATTEMPTS, Some(Duration::from_secs(60)), 1000), None);
    }

    #[test]
    fn chance_moves_a_pause_by_a_tenth() {
        for _ in 0..100 {
            let pause = pause(2, None).unwrap().as_millis();
            assert!((18_000..=22_000).contains(&pause), "{pause}");
        }
        assert!((0..100).map(|_| pause(2, None)).collect::<std::collections::BTreeSet<_>>().len() > 1);
    }
}
