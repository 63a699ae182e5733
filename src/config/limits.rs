//! How long records may wait for an anchor before somebody is told, and before things are refused.

use std::time::Duration;

/// Names of the settings, in their order.
pub(super) const AMBER: &str = "audit_amber_minutes";
pub(super) const RED: &str = "audit_red_minutes";
pub(super) const REFUSE: &str = "audit_refuse_minutes";

/// Ages of the oldest record that no anchor covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorLimits {
    /// From here on there is an alarm.
    pub amber: Duration,
    /// From here on it is a loud one.
    pub red: Duration,
    /// From here on destruction and administration are refused; none for never.
    pub refuse: Option<Duration>,
}

impl Default for AnchorLimits {
    /// Those of a gateway of which nobody has set anything.
    fn default() -> Self {
        Self { amber: minutes(5), red: minutes(15), refuse: Some(minutes(60)) }
    }
}

impl AnchorLimits {
    /// The settings that they are made of.
    pub const NAMES: [&str; 3] = [AMBER, RED, REFUSE];

    /// Out of the settings, in minutes.
    ///
    /// # Errors
    /// What is wrong with one, or with their order.
    pub(super) fn of(value: impl Fn(&str) -> Result<u64, String>) -> Result<Self, String> {
        let (amber, red, refuse) = (value(AMBER)?, value(RED)?, value(REFUSE)?);
        in_order(|name| match name {
            AMBER => Some(amber),
            RED => Some(red),
            _ => Some(refuse),
        })?;
        Ok(Self { amber: minutes(amber), red: minutes(red), refuse: (refuse > 0).then(|| minutes(refuse)) })
    }
}

const fn minutes(number: u64) -> Duration {
    Duration::from_secs(number.saturating_mul(60))
}

/// Whether those of the limits that are known grow from one to the next; never is above all.
pub(super) fn in_order(value: impl Fn(&str) -> Option<u64>) -> Result<(), String> {
    let known = AnchorLimits::NAMES.into_iter().filter_map(|name| value(name).map(|minutes| (name, minutes)));
    let known: Vec<_> = known.filter(|(name, minutes)| *name != REFUSE || *minutes > 0).collect();
    for pair in known.windows(2) {
        if let [(name, minutes), (next, more)] = pair
            && minutes >= more
        {
            return Err(format!("{name} ({minutes}) must be less than {next} ({more})"));
        }
    }
    Ok(())
}
