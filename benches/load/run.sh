#!/usr/bin/env bash
# Measures the whole server beside nginx, on this machine, in one run: docs/performance.md.
# BENCH_ROUNDS, BENCH_SECONDS and BENCH_RECORDS make it longer or shorter; --only-log measures the audit log alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin"

# One build for gateway, tool and functions, so that dependencies are compiled once.
built=$(cargo build --locked --profile bench --message-format json-render-diagnostics \
  -p rack-gateway --bin rack-gateway-api --bin rack-gateway -p rack-gateway-benches --bench load --bench hot_path)
executable() {
  python3 -c '
import json, sys
for line in sys.stdin:
    built = json.loads(line)
    if built.get("executable") and built["target"]["name"] == sys.argv[1]:
        print(built["executable"])
' "$1" <<<"$built" | tail -n 1
}

[[ " $* " == *" --only-log "* ]] || "$(executable hot_path)" --bench --noplot
exec python3 benches/load/bench.py --gateway "$(executable rack-gateway-api)" --client "$(executable rack-gateway)" \
  --tool "$(executable load)" "$@"
