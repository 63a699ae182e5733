// error: E0382
// An intent has one outcome.

use rack_gateway::audit::{Intent, Outcome, OutcomeResult};

pub fn twice(intent: Intent) {
    intent.complete(Outcome::of(OutcomeResult::Completed));
    intent.complete(Outcome::of(OutcomeResult::Completed));
}
