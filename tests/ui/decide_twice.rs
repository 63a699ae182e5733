// error: E0382
// One request, one decision.

use rack_gateway::pep::{Gate, Gathered};

pub async fn until_allowed(gathered: Gathered, gate: &Gate) {
    drop(gathered.decide(gate).await);
    drop(gathered.decide(gate).await);
}
