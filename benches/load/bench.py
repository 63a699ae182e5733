#!/usr/bin/env python3
"""Drives the load: starts an upstream, nginx, PostgreSQL and the gateway on loopback, runs the same
load against each in turns, and prints the table of docs/performance.md. Only the standard library."""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import pwd
import re
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
SHORT = "/apps/myapp/processes"
LONG = "/apps/big/objects/tmp/source.tgz"
SOCKET = "/apps/myapp/logs"
IDLE_SOCKETS = 2000
# Records are committed in groups, so a group that is larger costs each request less.
CONNECTIONS = (32, 256)
SECRET_KEY = secrets.token_hex(32)
# Records of the long log that is verified.
RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
# Proofs that are asked for, one after the other.
PROOFS = 20
VERIFY = pathlib.Path(__file__).resolve().parents[2] / "docs" / "verify.py"
# What both verifiers must say alike of the same evidence.
SAME = ("verdict", "good_until", "last_good_anchor", "records", "anchors", "first_bad_record", "first_bad_anchor")

NGINX = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream rack {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://rack;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise SystemExit(f"{process.args[0]} does not listen on {port}")


def memory_mib(pid, field="VmRSS"):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1)) / 1024


class Bench:
    """What runs, and what was measured."""

    def __init__(self, gateway, client, tool, folder, stack):
        self.gateway, self.client, self.tool = gateway, client, tool
        self.folder, self.stack = pathlib.Path(folder), stack
        self.rows = []
        self.databases = {}

    def start(self, args, port=None, **options):
        process = subprocess.Popen(args, **options)
        self.stack.callback(self.stop, process)
        if port:
            wait_for_port(port, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run_tool(self, command, timeout=600, **options):
        args = [self.tool, command]
        for name, value in options.items():
            args += [f"--{name}", str(value)]
        done = subprocess.run(args, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(args)}: {done.stderr}")
        return json.loads(done.stdout)

    def row(self, what, measured, budget="", is_met=None):
        verdict = "" if is_met is None else ("met" if is_met else "MISSED")
        self.rows.append((what, measured, budget, verdict))
        print(f"  {what}: {measured}  {verdict}", flush=True)

    # Servers

    def start_upstream(self):
        self.upstream = free_port()
        self.start([self.tool, "upstream", "--listen", f"127.0.0.1:{self.upstream}"], self.upstream)

    def start_nginx(self):
        self.nginx = free_port()
        workers = os.cpu_count()
        text = NGINX.format(folder=self.folder, upstream=self.upstream, port=self.nginx, workers=workers)
        (self.folder / "nginx.conf").write_text(text)
        log, config = f"{self.folder}/nginx.error.log", f"{self.folder}/nginx.conf"
        self.start(["nginx", "-p", str(self.folder), "-e", log, "-c", config], self.nginx)

    def start_postgres(self):
        """With its own defaults: every commit is flushed."""
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        binaries, data = found[-1], self.folder / "postgres"
        data.mkdir()
        as_user = []
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(data, owner.pw_uid, owner.pw_gid)
            self.folder.chmod(0o755)
            as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        initdb = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8"]
        subprocess.run(as_user + initdb, check=True, capture_output=True)
        port = free_port()
        args = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(data)]
        args += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        log = (self.folder / "postgres.log").open("w")
        self.start(as_user + args, port, stdout=log, stderr=log)
        self.cluster = f"postgres://postgres@127.0.0.1:{port}"
        self.createdb = [str(binaries / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        self.databases["PostgreSQL"] = f"{self.cluster}/postgres"

    def environment(self, database):
        return {
            "PATH": os.environ["PATH"],
            "RACK": "acme/dev",
            "RACK_HOST": f"http://127.0.0.1:{self.upstream}",
            "RACK_TOKEN": "secret",
            "APP_SECRET_KEY": SECRET_KEY,
            # Nobody of the load has a second factor to show.
            "RGW_SETTING_MFA_REQUIRE_ALL_USERS": "false",
            "RGW_DATABASE_URL": self.databases[database],
            "RGW_LOG": "error",
        }

    def operator(self, database, *args):
        environment = self.environment(database)
        done = subprocess.run([self.gateway, *args], env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"rack-gateway-api {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def prepare(self, database):
        """The schema, and the credential of a deployer."""
        self.operator(database, "migrate")
        token = self.operator(
            database, "token", "create", "--user", "bench@example.com", "--name", "bench", "--role", "deployer"
        )
        return "Basic " + base64.b64encode(f"convox:{token}".encode()).decode()

    def start_gateway(self, database):
        port = free_port()
        environment = self.environment(database)
        environment["RGW_LISTEN"] = environment["DOMAIN"] = f"127.0.0.1:{port}"
        environment["RGW_METRICS_LISTEN"] = f"127.0.0.1:{free_port()}"
        began = time.monotonic()
        process = self.start([self.gateway, "serve"], env=environment, stdout=subprocess.DEVNULL)
        while True:
            if process.poll() is not None:
                raise SystemExit("the gateway does not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                request = f"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
                probe.sendall(request.encode())
                if probe.recv(64).startswith(b"HTTP/1.1 200"):
                    return process, port, time.monotonic() - began
            time.sleep(0.002)

    # Measurements

    def wrk(self, port, authorization, connections):
        args = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-H", f"Authorization: {authorization}"]
        done = subprocess.run([*args, f"http://127.0.0.1:{port}{SHORT}"], capture_output=True, text=True, timeout=120)
        if "Non-2xx" in done.stdout or done.returncode != 0:
            raise SystemExit(f"wrk: {done.stdout}{done.stderr}")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1))

    def throughput(self, database, port, authorization, connections):
        ports = {"direct": self.upstream, "nginx": self.nginx, "gateway": port}
        rates = {name: [] for name in ports}
        self.wrk(port, authorization, connections)
        for _ in range(ROUNDS):
            for name, to in ports.items():
                rates[name].append(self.wrk(to, authorization, connections))
        direct, nginx, gateway = (statistics.median(rates[name]) for name in ports)
        ratio = statistics.median(g / n for g, n in zip(rates["gateway"], rates["nginx"]))
        self.row(
            f"throughput, {connections} connections, {database}",
            f"{ratio:.2f} × nginx ({gateway:,.0f}/s; nginx {nginx:,.0f}/s; direct {direct:,.0f}/s)",
            "≥ 0.6 × nginx",
            ratio >= 0.6,
        )

    def latency(self, database, port, authorization):
        ports = {"direct": self.upstream, "nginx": self.nginx, "gateway": port}
        found = {name: [] for name in ports}
        for _ in range(ROUNDS):
            for name, to in ports.items():
                measured = self.run_tool(
                    "paced", to=f"127.0.0.1:{to}", path=SHORT, authorization=authorization,
                    rate=500, seconds=SECONDS, connections=16,
                )
                if measured["failures"]:
                    raise SystemExit(f"{name}: {measured}")
                found[name].append(measured)
        for percentile, limit in (("p50_ms", 1.5), ("p99_ms", 8)):
            value = {name: statistics.median(one[percentile] for one in rounds) for name, rounds in found.items()}
            added, nginx = (value[name] - value["direct"] for name in ("gateway", "nginx"))
            self.row(
                f"added latency at 500/s, {percentile[:3]}, {database}",
                f"{added:.2f} ms (nginx adds {nginx:.2f} ms)",
                f"≤ {limit} ms",
                added <= limit,
            )

    def streaming(self, process, port, authorization):
        ports = {"direct": self.upstream, "nginx": self.nginx, "gateway": port}
        rates = {name: [] for name in ports}
        before = memory_mib(process.pid, "VmRSS")
        for _ in range(3):
            for name, to in ports.items():
                measured = self.run_tool("stream", to=f"127.0.0.1:{to}", path=LONG, authorization=authorization)
                if measured["status"] != 200 or measured["bytes"] != 1 << 30:
                    raise SystemExit(f"{name}: {measured}")
                rates[name].append(measured["mb_per_s"])
        more = max(0.0, memory_mib(process.pid, "VmHWM") - before)
        ratio = statistics.median(g / n for g, n in zip(rates["gateway"], rates["nginx"]))
        direct, nginx, gateway = (statistics.median(rates[name]) for name in ports)
        self.row(
            "download of 1 GiB",
            f"{ratio:.2f} × nginx ({gateway:,.0f} MB/s; nginx {nginx:,.0f}; direct {direct:,.0f})",
            "≥ 0.9 × nginx",
            ratio >= 0.9,
        )
        self.row("memory for it", f"{more:.0f} MiB more, at most", "< 32 MiB", more < 32)

    def sockets(self, process, port, authorization):
        rates = {"direct": [], "nginx": [], "gateway": []}
        for _ in range(ROUNDS):
            for name, to in {"direct": self.upstream, "nginx": self.nginx, "gateway": port}.items():
                measured = self.run_tool(
                    "round-trips", to=f"127.0.0.1:{to}", path=SOCKET, authorization=authorization, count=20000
                )
                rates[name].append(measured["per_s"])
        ratio = statistics.median(g / d for g, d in zip(rates["gateway"], rates["direct"]))
        nginx = statistics.median(n / d for n, d in zip(rates["nginx"], rates["direct"]))
        gateway = statistics.median(rates["gateway"])
        self.row(
            "socket round trips",
            f"{ratio:.2f} × direct ({gateway:,.0f}/s; nginx {nginx:.2f} × direct)",
            "≥ 0.8 × direct",
            ratio >= 0.8,
        )
        before = memory_mib(process.pid)
        args = [self.tool, "idle", "--to", f"127.0.0.1:{port}", "--path", SOCKET]
        args += ["--authorization", authorization, "--count", str(IDLE_SOCKETS)]
        idle = self.start(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        opened = json.loads(idle.stdout.readline())
        held = memory_mib(process.pid)
        idle.communicate("", timeout=60)
        self.row(
            f"{opened['open']:,} idle sockets",
            f"{held - before:.0f} MiB more, {held:.0f} MiB in all (opened in {opened['seconds']:.1f} s)",
            "≤ 200 MiB",
            held <= 200,
        )

    def starting(self, database):
        """Starts it a few times; leaves the last one running."""
        took = []
        for _ in range(4):
            process, _, seconds = self.start_gateway(database)
            self.stop(process)
            took.append(seconds)
        process, port, seconds = self.start_gateway(database)
        took.append(seconds)
        start = statistics.median(took) * 1e3
        self.row(f"start, {database}", f"{start:.0f} ms", "≤ 300 ms", start <= 300)
        time.sleep(2)
        memory = memory_mib(process.pid)
        self.row(f"idle memory, {database}", f"{memory:.0f} MiB", "≤ 60 MiB", memory <= 60)
        return process, port

    def decisions(self):
        decision = self.run_tool("decide", policies=100, count=100000)
        for percentile, limit in (("p50", 30), ("p99", 200)):
            took = decision[f"{percentile}_us"]
            self.row(f"decision at 100 policies, {percentile}", f"{took:.1f} µs", f"≤ {limit} µs", took <= limit)

    def appends(self):
        """Records with a personal value, while tree and index follow."""
        for database in ("PostgreSQL", "SQLite"):
            rate = self.run_tool("append", database=self.databases[database], seconds=5, tasks=512)
            limit = 10000 if database == "PostgreSQL" else None
            met = None if limit is None else rate["per_s"] >= limit
            budget = "" if limit is None else f"≥ {limit:,}/s"
            self.row(f"audit append, {database}", f"{rate['per_s']:,.0f} records/s", budget, met)
            paced = self.run_tool("append-paced", database=self.databases[database], seconds=5, rate=1000)
            budget, met = ("≤ 20 ms", paced["p99_ms"] <= 20) if limit else ("", None)
            measured = f"{paced['p99_ms']:.1f} ms (p50 {paced['p50_ms']:.1f} ms)"
            self.row(f"audit append at 1,000/s, p99, {database}", measured, budget, met)

    # A long log with anchors

    def fill(self, database):
        """The log, in a database of its own; the environment of commands that know its anchors."""
        name = f"{database} with a long log"
        if database == "PostgreSQL":
            subprocess.run([*self.createdb, "long"], check=True, capture_output=True)
            self.databases[name] = f"{self.cluster}/long"
        else:
            self.databases[name] = f"sqlite://{self.folder}/long.sqlite"
        anchors, key = self.folder / f"anchors-{database}", self.folder / f"{database}.key"
        self.operator(database, "audit", "key", str(key))
        filled = self.run_tool(
            "fill", timeout=3600, database=self.databases[name], records=RECORDS, anchors=anchors, key=key
        )
        self.row(f"writing {filled['records']:,} records, {database}", f"{filled['per_s']:,.0f} records/s")
        self.row(
            f"one anchor, {database}",
            f"{filled['anchor_p50_ms']:.0f} ms (the slowest of 100 {filled['anchor_max_ms']:.0f} ms, "
            f"the last {filled['anchor_last_ms']:.0f} ms)",
        )
        place = {"AUDIT_ANCHOR_BUCKET": f"file://{anchors}", "AUDIT_ANCHOR_KEY_FILE": str(key)}
        environment = self.environment(name) | place
        trust = self.folder / f"{database}.trust.json"
        trust.write_text(self.timed([self.gateway, "audit", "trust"], environment)[0])
        return name, filled["records"], environment, trust

    @staticmethod
    def timed(args, environment=None, codes=(0,)):
        """What it prints, in how many seconds."""
        began = time.monotonic()
        done = subprocess.run(
            [str(arg) for arg in args], env=environment, capture_output=True, text=True, timeout=7200
        )
        seconds = time.monotonic() - began
        if done.returncode not in codes:
            said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            raise SystemExit(f"{' '.join(map(str, args))}: {done.returncode} {said}")
        return done.stdout, seconds

    def verifying(self, database):
        name, records, environment, trust = self.fill(database)
        told, seconds = self.timed([self.gateway, "audit", "verify", "--trust", trust, "--json"], environment)
        live = json.loads(told)
        rate = records / seconds
        self.row(f"verification, live, {database}", f"{rate:,.0f} records/s", "≥ 100,000/s", rate >= 100000)
        self.proving(database, name, records, environment)
        self.searching(database, name)
        if database != "PostgreSQL":
            return
        bundle = self.folder / "long.tar"
        _, seconds = self.timed([self.gateway, "audit", "export", "--out", bundle], environment)
        size = bundle.stat().st_size / 1e6
        self.row(f"export of a bundle, {database}", f"{records / seconds:,.0f} records/s ({size:,.0f} MB)")
        reports = {"live": live}
        for jobs, what, least in ((1, "one core", 100000), (os.cpu_count(), f"{os.cpu_count()} cores", None)):
            args = [self.client, "audit", "verify", bundle, "--trust", trust, "--jobs", jobs, "--json"]
            told, seconds = self.timed(args)
            reports[what], rate = json.loads(told), records / seconds
            budget, met = (f"≥ {least:,}/s", rate >= least) if least else ("", None)
            self.row(f"verification of a bundle, {what}", f"{rate:,.0f} records/s", budget, met)
        told, seconds = self.timed([sys.executable, VERIFY, bundle, "--trust", trust, "--json"])
        reports["Python"], rate = json.loads(told), records / seconds
        self.row("verification of a bundle, docs/verify.py", f"{rate:,.0f} records/s", "≥ 15,000/s", rate >= 15000)
        # What was asked for between the two checks is on the record as well.
        reports["live"]["records"] = reports["Python"]["records"]
        said = {who: {field: report.get(field) for field in SAME} for who, report in reports.items()}
        if any(one != said["Python"] or one["verdict"] != "verified" for one in said.values()):
            raise SystemExit(f"the verifiers do not say the same of an honest log: {said}")
        bundle.unlink()

    def searching(self, database, name):
        kept = self.run_tool("keep", timeout=3600, database=self.databases[name])
        self.row(f"search index still to be made, {database}", f"{kept['index_s']:.1f} s")
        took = {what: search["ms"] for what, search in kept["searches"].items()}
        slowest = max(took, key=took.get)
        self.row(
            f"search of {kept['records']:,} records, {database}",
            f"median {statistics.median(took.values()):.1f} ms, slowest {took[slowest]:.1f} ms "
            f"({slowest.replace('_', ' ')})",
        )

    def proving(self, database, name, records, environment):
        places = [1 + n * (records - 1) // (PROOFS - 1) for n in range(PROOFS)]
        proof = self.folder / "proof.txt"
        took = []
        for seq in places:
            proof.unlink(missing_ok=True)
            took.append(self.timed([self.gateway, "audit", "prove", seq, "-o", proof], environment)[1])
        whole = statistics.median(took) * 1e3
        begin = statistics.median(self.timed([self.gateway, "--version"])[1] for _ in range(PROOFS)) * 1e3
        self.row(
            f"proof of one record of {records:,}, {database}",
            f"{whole:.0f} ms, the start of the program ({begin:.0f} ms) and the connection included",
            "≤ 50 ms",
            whole <= 50,
        )
        token = self.operator(
            name, "token", "create", "--user", "auditor@example.com", "--name", "bench", "--role", "auditor"
        )
        authorization = "Basic " + base64.b64encode(f"convox:{token}".encode()).decode()
        process, port, _ = self.start_gateway(name)
        measured = self.run_tool(
            "paced", to=f"127.0.0.1:{port}", path=f"/api/v1/audit/records/{records // 2}/proof",
            authorization=authorization, rate=20, seconds=SECONDS, connections=2,
        )
        self.stop(process)
        if measured["failures"]:
            raise SystemExit(f"proofs by the API: {measured}")
        self.row(
            f"the same by the API, {database}",
            f"p50 {measured['p50_ms']:.1f} ms, p99 {measured['p99_ms']:.1f} ms",
            "≤ 50 ms",
            measured["p99_ms"] <= 50,
        )

    def server(self, database):
        print(f"\n{database}", flush=True)
        authorization = self.prepare(database)
        process, port = self.starting(database)
        for connections in CONNECTIONS:
            self.throughput(database, port, authorization, connections)
        self.latency(database, port, authorization)
        if database == "PostgreSQL":
            self.streaming(process, port, authorization)
            self.sockets(process, port, authorization)
        self.stop(process)

    def table(self):
        lines = ["", "| what | measured | budget | |", "| --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True, help="rack-gateway-api, optimised")
    parser.add_argument("--client", required=True, help="rack-gateway, optimised")
    parser.add_argument("--only-log", action="store_true", help="nothing but the audit log")
    parser.add_argument("--tool", required=True, help="the bench target `load`, optimised")
    arguments = parser.parse_args()
    for needed in () if arguments.only_log else ("nginx", "wrk"):
        if not shutil.which(needed):
            raise SystemExit(f"{needed} is missing: run `make bench`, which installs it")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rack-gateway-bench-"))
        bench = Bench(arguments.gateway, arguments.client, arguments.tool, folder, stack)
        bench.databases["SQLite"] = f"sqlite://{folder}/bench.sqlite"
        bench.start_postgres()
        bench.start_upstream()
        if not arguments.only_log:
            bench.start_nginx()
            for database in ("PostgreSQL", "SQLite"):
                bench.server(database)
            print("\ndecisions", flush=True)
            bench.decisions()
        print("\nthe log", flush=True)
        bench.appends()
        for database in ("PostgreSQL", "SQLite"):
            bench.verifying(database)
        print(bench.table())
        print(f"\n{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {ROUNDS} rounds of {SECONDS} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
