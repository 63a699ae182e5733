//! Tracing and metrics: set-up and names. Logs are not the audit record.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Requests answered, by route, verdict and status.
pub const REQUESTS: &str = "rack_gateway_requests_total";
/// Seconds from the first byte of a request to the head of its answer.
pub const REQUEST_SECONDS: &str = "rack_gateway_request_seconds";
/// Seconds that a decision took.
pub const DECISION_SECONDS: &str = "rack_gateway_decision_seconds";
/// Sockets open now.
pub const SOCKETS: &str = "rack_gateway_sockets";
/// Loads of a policy bundle, by result.
pub const BUNDLE_LOADS: &str = "rack_gateway_bundle_loads_total";
/// Notices that wait to be sent.
pub const OUTBOX_WAITING: &str = "rack_gateway_outbox_waiting";
/// Notices that were given up in the last seven days.
pub const OUTBOX_DEAD: &str = "rack_gateway_outbox_dead";
/// Age in seconds of the oldest notice that waits; 0 when none does.
pub const OUTBOX_OLDEST_SECONDS: &str = "rack_gateway_outbox_oldest_seconds";
/// Attempts to send a notice, by result: `sent`, `failed`, `dead`.
pub const OUTBOX_ATTEMPTS: &str = "rack_gateway_outbox_attempts_total";

/// Sends log lines to standard error: standard output belongs to the audit records.
///
/// `filter` has the syntax of `tracing_subscriber::EnvFilter`; `json` selects one object a line.
/// What the library of passkeys says of odd answers is left out unless it is asked for: anybody can
/// send some.
/// A second call changes nothing.
pub fn init_logs(filter: &str, json: bool) {
    let filter = EnvFilter::new(format!("webauthn_rs_core=off,{filter}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    if outcome.is_err() {
        tracing::debug!("logging was set up before");
    }
}

/// A recorder of metrics, not yet installed, with buckets that suit the budget of the gateway.
///
/// # Errors
/// Never with the buckets below; the library checks that they are not empty.
pub fn metrics_builder() -> Result<PrometheusBuilder, BuildError> {
    let fast = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &fast)
}

/// Installs the recorder for this process and returns what renders it.
///
/// # Errors
/// When a recorder is installed already.
pub fn init_metrics() -> Result<PrometheusHandle, BuildError> {
    metrics_builder()?.install_recorder()
}
