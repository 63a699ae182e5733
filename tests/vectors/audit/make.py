#!/usr/bin/env python3
"""Writes the vectors beside it, from docs/audit-format.md and nothing else; with --check it only compares.

Signatures are deterministic (RFC 6979), so that the same files come out every time. The keys are for tests.
"""

import base64
import hashlib
import hmac
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ORIGIN = "rack-gateway/acme/prod"

# ECDSA on P-256 (FIPS 186-5, RFC 6979), slow and plain
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(k, point):
    result = None
    while k:
        if k & 1:
            result = add(result, point)
        point, k = add(point, point), k >> 1
    return result


def der(number):
    raw = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(raw)]) + raw


class Key:
    def __init__(self, name):
        self.d = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % N
        x, y = times(self.d, G)
        self.spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + (
            x.to_bytes(32, "big") + y.to_bytes(32, "big")
        )
        self.fingerprint = hashlib.sha256(self.spki).digest()

    def sign(self, text):
        digest = hashlib.sha256(text.encode()).digest()
        seed = self.d.to_bytes(32, "big") + (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
        k, v = b"\0" * 32, b"\1" * 32
        for byte in (b"\0", b"\1"):
            k = hmac.new(k, v + byte + seed, hashlib.sha256).digest()
            v = hmac.new(k, v, hashlib.sha256).digest()
        v = hmac.new(k, v, hashlib.sha256).digest()
        nonce = int.from_bytes(v, "big")
        r = times(nonce, G)[0] % N
        s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * self.d) % N
        body = der(r) + der(s)
        return b"\x30" + bytes([len(body)]) + body


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


def spell(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def note(text, name, *keys):
    lines = ["\u2014 %s %s\n" % (name, b64(key.fingerprint[:4] + key.sign(text))) for key in keys]
    return text + "\n" + "".join(lines)


# The tree, by the definitions of RFC 9162, section 2.1


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    if len(leaves) < 2:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return path(m, leaves[:k]) + [root(leaves[k:])] if m < k else path(m - k, leaves[k:]) + [root(leaves[:k])]


def between(m, leaves, whole=True):
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m <= k:
        return between(m, leaves[:k], whole) + [root(leaves[k:])]
    return between(m - k, leaves[k:], False) + [root(leaves[:k])]


ONE, TWO, OTHER = Key("one"), Key("two"), Key("other")


def case(name, good, **more):
    return {"name": name, "good": good, **more}


def records():
    def one(name, good, raw):
        return case(name, good, bytes=b64(raw if isinstance(raw, bytes) else raw.encode()))

    deep = '{"a":' + '{"a":' * 7 + "1" + "}" * 8
    return [
        one("a record", True, spell({"v": 1, "seq": 1, "ts": "2025-01-01T08:00:00.000000Z"})),
        one("an empty object", True, "{}"),
        one("every kind of value", True, '{"a":[true,false,0,-1,"",[],{}],"a1":{"b_c":9007199254740991}}'),
        one("every escape", True, '{"a":"\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f\x7f/\u2028\U0001f511"}'),
        one("the lowest integer", True, '{"a":-9007199254740991}'),
        one("eight levels", True, deep),
        one("a key of 64 characters", True, '{"%s":1}' % ("a" * 64)),
        one("65,536 bytes", True, '{"a":"%s"}' % ("x" * 65528)),
        one("65,537 bytes", False, '{"a":"%s"}' % ("x" * 65529)),
        one("nine levels", False, '{"a":%s}' % deep),
        one("a key of 65 characters", False, '{"%s":1}' % ("a" * 65)),
        one("nothing", False, ""),
        one("an array", False, "[]"),
        one("a string", False, '"a"'),
        one("two objects", False, "{}{}"),
        one("a space before", False, " {}"),
        one("a newline after", False, "{}\n"),
        one("a space within", False, '{"a": 1}'),
        one("a float", False, '{"a":1.0}'),
        one("an exponent", False, '{"a":1e2}'),
        one("null", False, '{"a":null}'),
        one("null in an array", False, '{"a":[null]}'),
        one("minus nought", False, '{"a":-0}'),
        one("2^53", False, '{"a":9007199254740992}'),
        one("-2^53", False, '{"a":-9007199254740992}'),
        one("a nought before", False, '{"a":01}'),
        one("a plus", False, '{"a":+1}'),
        one("not a number", False, '{"a":NaN}'),
        one("a key twice", False, '{"a":1,"a":1}'),
        one("a key twice, within", False, '{"a":{"b":1,"b":2}}'),
        one("keys out of order", False, '{"b":1,"a":1}'),
        one("a key in upper case", False, '{"A":1}'),
        one("a key that begins with a digit", False, '{"1a":1}'),
        one("an empty key", False, '{"":1}'),
        one("a key with a letter of another script", False, '{"\u0430":1}'),
        one("an escaped key", False, '{"\\u0061":1}'),
        one("an escape in upper case", False, '{"a":"\\u001F"}'),
        one("an escape that is not needed", False, '{"a":"\\u0061"}'),
        one("a longer escape", False, '{"a":"\\u000a"}'),
        one("an escaped slash", False, '{"a":"\\/"}'),
        one("a control character", False, b'{"a":"\x01"}'),
        one("a lone surrogate", False, '{"a":"\\ud800"}'),
        one("a surrogate in UTF-8", False, b'{"a":"\xed\xa0\x80"}'),
        one("no UTF-8", False, b'{"a":"\xff"}'),
        one("an overlong form", False, b'{"a":"\xc0\xaf"}'),
        one("a mark of the byte order", False, b"\xef\xbb\xbf{}"),
        one("a comma after the last", False, '{"a":1,}'),
        one("cut", False, '{"a":1'),
    ]


def chain():
    value, steps = sha(b"rack-gateway-audit/v1\n", ORIGIN.encode()), []
    begin = value
    for seq in range(1, 4):
        record = spell({"seq": seq})
        leaf = sha(b"\0", record.encode())
        value = sha(b"\2", value, leaf)
        steps.append({"record": record, "leaf": leaf.hex(), "chain": value.hex()})
    return {"origin": ORIGIN, "begin": begin.hex(), "records": steps}


def tree():
    """Leaf i is that of the record {"seq":i+1}."""
    leaves = [sha(b"\0", spell({"seq": i + 1}).encode()) for i in range(600)]
    sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 600]
    included, consistent = [], []
    for size in sizes[1:]:
        for index in sorted({0, size // 2, size - 1}):
            proof = [hash_.hex() for hash_ in path(index, leaves[:size])]
            included.append(case("%d in %d" % (index, size), True, index=index, size=size, path=proof))
            if proof:
                included.append(case("%d in %d, cut" % (index, size), False, index=index, size=size, path=proof[:-1]))
                included.append(
                    case(
                        "%d in %d, another" % (index, size),
                        False,
                        index=index,
                        size=size,
                        path=proof[:-1] + ["00" * 32],
                    )
                )
            included.append(
                case("%d in %d, longer" % (index, size), False, index=index, size=size, path=proof + ["00" * 32])
            )
        included.append(case("%d in %d" % (size, size), False, index=size, size=size, path=[]))
    for old, new in ((1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (6, 8), (255, 256), (256, 257), (257, 600), (512, 600)):
        proof = [hash_.hex() for hash_ in between(old, leaves[:new])]
        consistent.append(case("%d to %d" % (old, new), True, old=old, new=new, path=proof))
        consistent.append(case("%d to %d, longer" % (old, new), False, old=old, new=new, path=proof + ["00" * 32]))
        if proof:
            consistent.append(case("%d to %d, cut" % (old, new), False, old=old, new=new, path=proof[:-1]))
    roots = {str(size): root(leaves[:size]).hex() for size in sizes}
    return {"roots": roots, "inclusion": included, "consistency": consistent}


def tiles():
    good = [(0, 0, 256), (0, 0, 1), (1, 7, 255), (0, 999, 256), (2, 1000, 256), (0, 1234067, 256), (7, 1000000, 3)]
    cases = []
    for level, n, width in good:
        groups, rest = ["%03d" % (n % 1000)], n // 1000
        while rest:
            groups.insert(0, "x%03d" % (rest % 1000))
            rest //= 1000
        name = "tile/%d/%s" % (level, "/".join(groups)) + (".p/%d" % width if width < 256 else "")
        cases.append(case(name, True, level=level, index=n, width=width))
    bad = [
        "tile/0/0",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/00/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/-1/001",
        "tile/0/0001",
        "tile/0/x001/1",
        "/tile/0/001",
        "tile/0/001/",
        "tile/0/\u0660\u0660\u0661",
        "tile/8/000",
    ]
    return cases + [case(name, False) for name in bad]


def notes():
    text = "%s\n3\n%s\n" % (ORIGIN, b64(sha()))
    good, both = note(text, ORIGIN, ONE), note(text, ORIGIN, TWO, ONE)
    line = good.split("\n\n")[1]
    bad_line = "\u2014 %s %s\n" % (ORIGIN, b64(ONE.fingerprint[:4] + ONE.sign("other")))
    long = bytearray(ONE.sign(text)) + b"\0"

    def one(name, parses, signed, raw):
        return {"name": name, "parses": parses, "signed": signed, "note": b64(raw.encode("utf-8", "surrogatepass"))}

    return {
        "name": ORIGIN,
        "key": b64(ONE.spki),
        "cases": [
            one("signed", True, True, good),
            one("signed by another as well", True, True, both),
            one("signed twice", True, True, good + line),
            one("signed twice, once badly", True, False, good + bad_line),
            one("an empty line in the text", True, True, note("a\n\nb\n", ORIGIN, ONE)),
            one("a witness of another kind", True, True, good + "\u2014 witness AQIDBAU=\n"),
            one("sixteen signatures", True, True, good + "\u2014 witness AQIDBAU=\n" * 15),
            one("by another key", True, False, note(text, ORIGIN, OTHER)),
            one("of another text", True, False, text + "\n" + bad_line),
            one("under another name", True, False, note(text, ORIGIN + "/epoch-2", ONE)),
            one(
                "bytes after the signature",
                True,
                False,
                text + "\n\u2014 %s %s\n" % (ORIGIN, b64(ONE.fingerprint[:4] + bytes(long))),
            ),
            one("seventeen signatures", False, False, good + "\u2014 witness AQIDBAU=\n" * 16),
            one("nothing", False, False, ""),
            one("without signature", False, False, text),
            one("without lines", False, False, text + "\n"),
            one("cut", False, False, good[:-1]),
            one("a space after", False, False, good + " "),
            one("a newline after", False, False, good + "\n"),
            one("a carriage return", False, False, good.replace("\n", "\r\n")),
            one("a tab", False, False, good.replace("3", "3\t")),
            one("DEL", False, False, good.replace("3", "3\x7f")),
            one("NEL", False, False, good.replace("3", "3\x85")),
            one("a hyphen", False, False, good.replace("\u2014", "-")),
            one("no space", False, False, good.replace("\u2014 ", "\u2014")),
            one("two spaces", False, False, good.replace("\u2014 ", "\u2014  ")),
            one("a name with a plus", False, False, good + "\u2014 a+b AQIDBAU=\n"),
            one("stray bits", False, False, good + "\u2014 witness AQIDBAV=\n"),
            one("no padding", False, False, good + "\u2014 witness AQIDBAU\n"),
            one("base64 for addresses", False, False, good + "\u2014 witness AQID_-U=\n"),
            one("nothing but a key id", False, False, good + "\u2014 witness AQIDBA==\n"),
            one("too long", False, False, note("a" * 65536 + "\n", ORIGIN, ONE)),
        ],
    }


def checkpoints():
    def one(name, good, text):
        return case(name, good, text=text)

    zero = b64(sha())
    return [
        one("of an empty log", True, "a\n0\n%s\n" % zero),
        one("of a log", True, "%s\n4711\n%s\n" % (ORIGIN, zero)),
        one("an extension line", False, "a\n1\n%s\nmore\n" % zero),
        one("no newline", False, "a\n1\n%s" % zero),
        one("a nought before", False, "a\n01\n%s\n" % zero),
        one("a sign", False, "a\n+1\n%s\n" % zero),
        one("a negative size", False, "a\n-1\n%s\n" % zero),
        one("no size", False, "a\n\n%s\n" % zero),
        one("31 bytes", False, "a\n1\n%s\n" % b64(sha()[:31])),
        one("no padding", False, "a\n1\n%s\n" % zero[:-1]),
        one("stray bits", False, "a\n1\n%s\n" % (zero[:-2] + "V=")),
        one("hex", False, "a\n1\n%s\n" % sha().hex()),
        one("two lines", False, "a\n1\n"),
        one("digits of another script", False, "a\n\u0661\n%s\n" % zero),
    ]


def meta_of(**more):
    fields = {
        "v": 1,
        "kind": "anchor",
        "origin": ORIGIN,
        "epoch": 1,
        "anchor": 1,
        "size": 0,
        "root": sha().hex(),
        "chain": sha(b"rack-gateway-audit/v1\n", ORIGIN.encode()).hex(),
        "made_at": "2025-01-01T08:00:00.000000Z",
        "next_due": "2025-01-01T08:02:00.000000Z",
        "reason": "start",
        "bucket": "acme-audit-anchors",
        "region": "eu-central-1",
        "account": "123456789012",
        "development": False,
        "signer": ONE.fingerprint.hex(),
        "version": "0.1.0",
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}


def metadata():
    def one(name, good, **more):
        return case(name, good, text=spell(meta_of(**more)) + "\n")

    whole = spell(meta_of())
    return [
        one("the first", True),
        one(
            "one of many",
            True,
            anchor=7,
            size=5,
            last_ts="2025-01-01T08:00:00.000000Z",
            prev_checkpoint="00" * 32,
            prev_meta="11" * 32,
            reason="count",
            bundle="b",
        ),
        one("a change of key", True, next_key=b64(TWO.spki)),
        one("in a folder", True, region=None, account=None, bucket="/a"),
        one("an unknown field", False, more=1),
        one("no reason", False, reason=None),
        one("another reason", False, reason="chance"),
        one("another version", False, v=2),
        one("another kind", False, kind="export"),
        one("a size as a string", False, size="0"),
        one("a negative size", False, size=-1),
        one("a short root", False, root="00" * 31),
        one("a root in upper case", False, root="AB" * 32),
        one("development as a string", False, development="false"),
        one("a flag missing", False, development=None),
        case("no newline", False, text=whole),
        case("two newlines", False, text=whole + "\n\n"),
        case("a space", False, text=whole.replace(":", ": ", 1) + "\n"),
        case("a field twice", False, text=whole.replace("{", '{"account":"1",', 1) + "\n"),
    ]


def commitments():
    values = ["", "198.51.100.7", "ada@example.com", "\U0001f511 \u00e4", "x" * 600]
    return [
        {
            "salt": sha(value.encode())[:16].hex(),
            "value": value,
            "commitment": sha(b"\3", sha(value.encode())[:16], value.encode()).hex(),
        }
        for value in values
    ]


def trust_of(**more):
    fields = {
        "v": 1,
        "origin": ORIGIN,
        "keys": [{"public_key": b64(ONE.spki), "name": "arn:aws:kms:eu-central-1:1:key/1"}],
        "store": {"kind": "s3", "bucket": "acme-audit-anchors", "region": "eu-central-1", "account": "123456789012"},
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}


def trust():
    def one(name, good, **more):
        return case(name, good, text=json.dumps(trust_of(**more)))

    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + b"\2" + ONE.spki[27:59]
    store = trust_of()["store"]
    return [
        one("a bucket", True),
        one("a folder", True, store={"kind": "file", "path": "/a"}),
        one("everything", True, development=True, breaks=[{"epoch": 2, "kept": 1, "lost": 2}]),
        one("two keys", True, keys=[{"public_key": b64(ONE.spki)}, {"public_key": b64(TWO.spki)}]),
        one("no account", True, store={name: store[name] for name in ("kind", "bucket", "region")}),
        one("another version", False, v=2),
        one("no version", False, v=None),
        one("no keys", False, keys=[]),
        one("no origin", False, origin=None),
        one("an unknown field", False, more=True),
        one("no region", False, store={"kind": "s3", "bucket": "a"}),
        one("an unknown field of a key", False, keys=[{"public_key": b64(ONE.spki), "id": 1}]),
        one("an unknown field of the store", False, store={**store, "endpoint": "x"}),
        one("an unknown store", False, store={"kind": "gcs"}),
        one("a break without its numbers", False, breaks=[{"epoch": 2}]),
        one("a compressed key", False, keys=[{"public_key": b64(compressed)}]),
        one("a key cut", False, keys=[{"public_key": b64(ONE.spki[:-1])}]),
        one("a key that is no base64", False, keys=[{"public_key": "?"}]),
        case("a field twice", False, text=json.dumps(trust_of()).replace("{", '{"v":1,', 1)),
        case("no JSON", False, text="v: 1"),
        case("cut", False, text=json.dumps(trust_of())[:-1]),
    ]


def a_log(count=5, key=ONE):
    """Records with an outcome, a personal value and an erasure; an anchor at the begin and one at the end."""
    ts, values, lines = "2025-01-01T08:00:%02d.000000Z", [], []
    for seq in range(1, count + 1):
        record = {"v": 1, "seq": seq, "ts": ts % seq, "kind": "intent", "action": "app:list", "instance": "one"}
        if seq == 1:
            record.update(kind="system", action="chain:begin", detail={"origin": ORIGIN})
        elif seq % 2:
            record = {"v": 1, "seq": seq, "ts": ts % seq, "kind": "outcome", "intent": seq - 1, "result": "completed"}
        else:
            salt, address = sha(b"%d" % seq)[:16], "198.51.100.%d" % seq
            record["private"] = {"src_ip": sha(b"\3", salt, address.encode()).hex()}
            values.append({"name": "src_ip", "salt": salt.hex(), "seq": seq, "value": address})
        lines.append(spell(record))
    return lines, values


def anchors_of(lines, sizes, key=ONE, **more):
    leaves, chains, anchors = [], [sha(b"rack-gateway-audit/v1\n", ORIGIN.encode())], []
    for line in lines:
        leaves.append(sha(b"\0", line.encode()))
        chains.append(sha(b"\2", chains[-1], leaves[-1]))
    for number, size in enumerate(sizes, 1):
        before = anchors[-1] if anchors else None
        fields = meta_of(
            anchor=number,
            size=size,
            root=root(leaves[:size]).hex(),
            chain=chains[size].hex(),
            signer=key.fingerprint.hex(),
            reason="start" if number == 1 else "interval",
            made_at="2025-01-01T08:01:%02d.000000Z" % number,
            next_due="2025-01-01T08:03:%02d.000000Z" % number,
            last_ts=json.loads(lines[size - 1])["ts"] if size else None,
            prev_checkpoint=sha(before["checkpoint"].encode()).hex() if before else None,
            prev_meta=sha(before["meta"].encode()).hex() if before else None,
            **more
        )
        checkpoint = "%s\n%d\n%s\n" % (ORIGIN, size, b64(root(leaves[:size])))
        anchors.append(
            {
                "checkpoint": note(checkpoint, ORIGIN, key),
                "epoch": 1,
                "meta": note(spell(fields) + "\n", ORIGIN, key),
                "number": number,
            }
        )
    return anchors, leaves, chains


def bundle_of(lines, values, anchors, leaves, chains, **more):
    size = len(lines)
    files = {
        "records/000001.jsonl": "".join(line + "\n" for line in lines).encode(),
        "private/000001.jsonl": "".join(spell(value) + "\n" for value in values).encode(),
        "anchors/000001.jsonl": "".join(spell(anchor) + "\n" for anchor in anchors).encode(),
        "tile/0/000.p/%d" % size: b"".join(leaves),
    }
    manifest = {
        "v": 1,
        "kind": "export",
        "origin": ORIGIN,
        "first": 1,
        "last": size,
        "made_at": "2025-01-01T08:02:00.000000Z",
        "version": "0.1.0",
        "private": True,
        "head": {"seq": size, "chain": chains[size].hex()},
        **more,
    }
    manifest["files"] = [
        {"name": name, "bytes": len(raw), "sha256": sha(raw).hex()} for name, raw in sorted(files.items())
    ]
    return {"manifest.json": json.dumps(manifest).encode(), **files}


def proofs():
    lines, _ = a_log()
    anchors, leaves, _ = anchors_of(lines, [5])

    def one(name, good, seq=3, index=None, record=None, steps=None, checkpoint=None, head="c2sp.org/tlog-proof@v1"):
        steps = path(seq - 1, leaves) if steps is None else steps
        text = "%s\nextra %s\nindex %d\n%s\n%s" % (
            head,
            b64((record or lines[seq - 1]).encode()),
            seq - 1 if index is None else index,
            "".join(b64(step) + "\n" for step in steps),
            checkpoint or anchors[0]["checkpoint"],
        )
        return case(name, good, text=text)

    alone, first, _ = anchors_of(lines[:1], [1])
    strange = anchors_of(lines, [5], key=OTHER)[0][0]["checkpoint"]
    return {
        "trust": json.dumps(trust_of()),
        "cases": [
            *(one("record %d" % seq, True, seq=seq) for seq in range(1, 6)),
            one("the only record", True, seq=1, steps=[], checkpoint=alone[0]["checkpoint"]),
            one("another record", False, record=lines[3]),
            one("another index", False, index=3),
            one("a record with white space", False, record=lines[2] + " "),
            one("a path that is too short", False, steps=path(2, leaves)[:-1]),
            one("a path that is too long", False, steps=path(2, leaves) + [sha()]),
            one("an index beyond the tree", False, index=5),
            one("another key", False, checkpoint=strange),
            one("another checkpoint", False, checkpoint=alone[0]["checkpoint"]),
            one("another log", False, checkpoint=note("b\n5\n%s\n" % b64(root(leaves)), "b", ONE)),
            one("bytes after the checkpoint", False, checkpoint=anchors[0]["checkpoint"] + "x"),
            one("metadata for a checkpoint", False, checkpoint=anchors[0]["meta"]),
        ],
    }


def bundles():
    lines, values = a_log()
    made = anchors_of(lines, [0, 3, 5])

    def one(name, verdict, codes=(), record=None, anchor=None, until=5, last=(1, 3, 5), files=None, trusted=None):
        files = bundle_of(lines, values, *made) if files is None else files
        expected = {
            "verdict": verdict,
            "codes": sorted(codes),
            "good_until": until,
            "first_bad_record": record,
            "first_bad_anchor": anchor,
            "last_good_anchor": last and dict(zip(("epoch", "number", "size"), last)),
        }
        return {
            "name": name,
            "trust": json.dumps(trusted or trust_of()),
            "expected": expected,
            "files": {name: b64(raw) for name, raw in files.items()},
        }

    def changed(at, line):
        return bundle_of(lines[:at] + [line] + lines[at + 1 :], values, *made)

    return [
        one("honest", "verified"),
        one(
            "a record edited",
            "tampered",
            ["leaf"],
            record=5,
            until=4,
            files=changed(4, lines[4].replace("completed", "abandoned")),
        ),
        one_deleted(one, lines, values, made),
        one(
            "a value changed",
            "tampered",
            ["private"],
            record=4,
            until=3,
            files=bundle_of(lines, [values[0], {**values[1], "value": "192.0.2.1"}], *made),
        ),
        one("a value gone", "tampered", ["unerased"], record=2, until=1, files=bundle_of(lines, values[1:], *made)),
        one(
            "an anchor gone",
            "incomplete",
            ["gap"],
            anchor=2,
            files=bundle_of(lines, values, [made[0][0], made[0][2]], *made[1:]),
        ),
        one(
            "no anchors",
            "incomplete",
            ["unanchored"],
            until=0,
            last=None,
            files=bundle_of(lines, values, [], *made[1:]),
        ),
        one(
            "another key",
            "tampered",
            ["signature", "unanchored"],
            anchor=1,
            until=0,
            last=None,
            files=bundle_of(lines, values, *anchors_of(lines, [0, 3, 5], key=OTHER)),
        ),
        one(
            "another bucket",
            "tampered",
            ["anchor", "unanchored"],
            anchor=1,
            until=0,
            last=None,
            files=bundle_of(lines, values, *anchors_of(lines, [0, 3, 5], bucket="other")),
        ),
        one(
            "another origin",
            "tampered",
            ["anchor", "begin", "manifest", "unanchored"],
            record=1,
            anchor=1,
            until=0,
            last=None,
            trusted=trust_of(origin="rack-gateway/acme/dev"),
        ),
    ]


def one_deleted(one, lines, values, made):
    files = bundle_of(lines, values, *made)
    files["records/000001.jsonl"] = "".join(line + "\n" for line in lines[:2] + lines[3:]).encode()
    manifest = json.loads(files["manifest.json"])
    for entry in manifest["files"]:
        raw = files[entry["name"]]
        entry["bytes"], entry["sha256"] = len(raw), sha(raw).hex()
    files["manifest.json"] = json.dumps(manifest).encode()
    return one("a record deleted", "tampered", ["missing"], record=3, until=2, files=files)


def main():
    wrong = []
    for make in (records, chain, tree, tiles, notes, checkpoints, metadata, commitments, trust, proofs, bundles):
        text = json.dumps(make(), indent=1, ensure_ascii=True) + "\n"
        place = os.path.join(HERE, make.__name__ + ".json")
        if sys.argv[1:] != ["--check"]:
            with open(place, "w", encoding="ascii") as file:
                file.write(text)
        elif not os.path.exists(place) or open(place, encoding="ascii").read() != text:
            wrong.append(make.__name__ + ".json")
    if wrong:
        sys.exit("other than make.py makes: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
