#!/usr/bin/env python3
"""Runs docs/verify.py over the vectors beside it, definition by definition."""

import base64
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "..", "..", "..", "docs", "verify.py")
sys.dont_write_bytecode = True
SPEC = importlib.util.spec_from_file_location("verify", SCRIPT)
verify = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(verify)
WRONG = []


def vectors(name):
    with open(os.path.join(HERE, name + ".json"), encoding="ascii") as file:
        return json.load(file)


def same(name, given, wanted):
    if given != wanted:
        WRONG.append("%s: %r, not %r" % (name, given, wanted))


def works(function, *arguments):
    try:
        function(*arguments)
    except verify.BAD:
        return False
    return True


def run(arguments):
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


def definitions(folder):
    for case in vectors("records"):
        same("record: " + case["name"], works(verify.parse, base64.b64decode(case["bytes"])), case["good"])
    chain = vectors("chain")
    value = verify.sha(b"rack-gateway-audit/v1\n", chain["origin"].encode())
    same("chain: begin", value.hex(), chain["begin"])
    for step in chain["records"]:
        leaf = verify.read_record(step["record"].encode())[0]
        value = verify.sha(b"\2", value, leaf)
        same("chain: " + step["record"], (leaf.hex(), value.hex()), (step["leaf"], step["chain"]))
    tree, roots = verify.Tree(), vectors("tree")["roots"]
    for size in range(601):
        same("root of %d" % size, tree.root().hex(), roots.get(str(size), tree.root().hex()))
        tree.add(verify.read_record(b'{"seq":%d}' % (size + 1))[0])
    for case in vectors("tiles"):
        same("tile: " + case["name"], bool(verify.NAME.fullmatch(case["name"])), case["good"])
    notes = vectors("notes")
    key = base64.b64decode(notes["key"])
    for case in notes["cases"]:
        raw = base64.b64decode(case["note"])
        same("note: " + case["name"], works(verify.read_note, raw), case["parses"])
        signed = case["parses"] and verify.is_signed(verify.read_note(raw), notes["name"], key)
        same("signed: " + case["name"], signed, case["signed"])
    for case in vectors("commitments"):
        line = json.dumps(
            {"name": "n", "salt": case["salt"], "seq": 1, "value": case["value"]},
            separators=(",", ":"),
            ensure_ascii=False,
        )
        same("commitment", verify.read_value(line.encode()), (1, "n", case["commitment"]))
    for case in vectors("trust"):
        path = os.path.join(folder, "trust.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(case["text"])
        try:
            verify.read_trust(path)
            good = True
        except Exception:
            good = False
        same("trust: " + case["name"], good, case["good"])


def anchors():
    """Checkpoints and metadata stand in notes, beside one that fits."""
    trust = {"origin": "rack-gateway/acme/prod", "store": {}, "development": True}
    line = "\n\u2014 a AQIDBAUG\n"
    good = {"checkpoint": vectors("checkpoints")[0]["text"], "meta": vectors("metadata")[0]["text"]}
    for kind, cases in (("checkpoint", vectors("checkpoints")), ("meta", vectors("metadata"))):
        for case in cases:
            texts = {**good, kind: case["text"]}
            anchor = verify.Anchor(1, 1, *((texts[name] + line).encode() for name in ("checkpoint", "meta")))
            same("%s: %s" % (kind, case["name"]), works(anchor.read, trust), case["good"])


def whole(folder):
    proofs = vectors("proofs")
    trust, proof = os.path.join(folder, "trust.json"), os.path.join(folder, "proof")
    with open(trust, "w", encoding="utf-8") as file:
        file.write(proofs["trust"])
    for case in proofs["cases"]:
        with open(proof, "w", encoding="utf-8") as file:
            file.write(case["text"])
        same("proof: " + case["name"], run(["--proof", proof, "--trust", trust])[0], 0 if case["good"] else 1)
    for number, case in enumerate(vectors("bundles")):
        bundle = os.path.join(folder, str(number))
        for name, raw in case["files"].items():
            os.makedirs(os.path.dirname(os.path.join(bundle, name)), exist_ok=True)
            with open(os.path.join(bundle, name), "wb") as file:
                file.write(base64.b64decode(raw))
        with open(trust, "w", encoding="utf-8") as file:
            file.write(case["trust"])
        report = run([bundle, "--trust", trust])[1]
        said = {name: report.get(name) for name in case["expected"]}
        said["codes"] = sorted({finding["code"] for finding in report.get("findings", [])})
        same("bundle: " + case["name"], said, case["expected"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        definitions(folder)
        anchors()
        whole(folder)
    if WRONG:
        sys.exit("\n".join(WRONG))


if __name__ == "__main__":
    main()
