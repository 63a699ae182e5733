//! Decisions under load, without a server.

use std::time::Instant;

use rack_gateway::pdp::Verdict;
use rack_gateway_benches::{ask, bundle, context, principal, resource};
use serde_json::{Value, json};

use crate::{Failure, Options, percentile};

/// `--count` decisions at `--policies` policies; one in a hundred is of a principal not seen before.
pub(crate) fn decide(options: &Options) -> Result<Value, Failure> {
    let count = options.number("count")?;
    let bundle = bundle(options.number("policies")?).map_err(|errors| errors.to_string())?;
    let (resource, context) = (resource(), context());
    let mut took = Vec::with_capacity(count);
    for n in 0..count as u64 {
        let principal = principal(if n.is_multiple_of(100) { n } else { 0 });
        let began = Instant::now();
        let decision = bundle.decide(&ask(&principal, &resource, &context));
        took.push(began.elapsed());
        if decision.verdict() != Verdict::Allow {
            return Err(format!("{}: {:?}", decision.verdict(), decision.reasons()).into());
        }
    }
    took.sort_unstable();
    let micros = |share| percentile(&took, share) * 1e6;
    Ok(json!({ "p50_us": micros(0.5), "p99_us": micros(0.99), "policies": bundle.policy_ids().len() }))
}
