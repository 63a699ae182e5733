#!/usr/bin/env python3
"""Verifies an export of the audit log, or the proof of one record, as docs/audit-format.md says.

    verify.py BUNDLE --trust trust.json [--anchors DIR] [--expect-fresh SECONDS] [--json]
    verify.py --proof FILE --trust trust.json [--json]

Written from that document; shares no code with the gateway. Needs Python 3.9 and the program `openssl`.
Exit codes: 0 verified, 1 tampered, 2 incomplete, 3 the check could not be made.
"""
import argparse, base64, bisect, hashlib, json, multiprocessing, os, re, subprocess, sys, tarfile, tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from multiprocessing.pool import ThreadPool

INCOMPLETE = set("version break gap unanchored base tail stale future empty".split())
LIMIT, SAFE, BAD = 65536, 2**53 - 1, (ValueError, RecursionError)
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
KEY, HEX, COUNT, SALT = (re.compile(pattern) for pattern in (
    "[a-z][a-z0-9_]{0,63}", "[0-9a-f]{64}", "0|[1-9][0-9]{0,15}", "[0-9a-f]{32}"))
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
NAME = re.compile(r"trust\.json|(records|private|anchors)/[0-9]{6}\.jsonl"
                  r"|tile/[0-7]/(x(?!000)[0-9]{3}/(x[0-9]{3}/)*)?[0-9]{3}"
                  r"(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?")
SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+=*)")

def need(condition, message):
    if not condition:
        raise ValueError(message)
def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def moment(text):
    need(is_text(text) and TIME.fullmatch(text), "no time: %.40r" % (text,))
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
def unbase64(text, length=None):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text and length in (None, len(raw)), "bad base64, or of another length")
    return raw
def public_key(text):
    key = unbase64(text, 91)
    need(key.startswith(P256), "no public key on P-256")
    return key

# What JSON must look like: fields and what checks their values.
def fits(value, must, may={}):
    """The object, if it has these fields and no others; others as well where `may` is None."""
    checks = {**must, **(may or {})}
    need(type(value) is dict and must.keys() <= value.keys() and (may is None or value.keys() <= checks.keys())
         and all(checks[name](value[name]) for name in value.keys() & checks.keys()), "not the fields that must be")
    return value
def is_text(value): return type(value) is str
def is_flag(value): return type(value) is bool
def is_one(value): return type(value) is int and value == 1
def is_count(value): return type(value) is int and 0 <= value <= SAFE
def is_place(value): return is_count(value) and value > 0
def is_hash(value): return is_text(value) and HEX.fullmatch(value)
def is_salt(value): return is_text(value) and SALT.fullmatch(value)
def is_list_of(must, may={}): return lambda value: type(value) is list and all(fits(item, must, may) for item in value)

BREAK = dict.fromkeys(("epoch", "kept", "lost"), is_count)
S3, FOLDER = ({"kind": "s3".__eq__, "bucket": is_text, "region": is_text}, {"account": is_text}), (
    {"kind": "file".__eq__, "path": is_text},)
TRUST = {"v": is_one, "origin": is_text, "store": lambda store: fits(store, *(FOLDER if "path" in store else S3)),
         "keys": is_list_of({"public_key": public_key}, {"name": is_text})}
MANIFEST = {"v": is_one, "kind": "export".__eq__, "origin": is_text, "first": is_count, "last": is_count,
            "made_at": moment, "private": is_flag,
            "head": lambda head: fits(head, {"seq": is_count, "chain": is_hash}, None),
            "files": is_list_of({"name": is_text, "bytes": is_count, "sha256": is_hash}, None)}
VALUE = {"name": is_text, "salt": is_salt, "seq": is_place, "value": is_text}
LINE = {"checkpoint": is_text, "epoch": is_place, "meta": is_text, "number": is_place}
DECLARATION = {"anchor": is_count, "checkpoint": is_hash, "kept": is_count, "lost": is_count, "number": is_place}
META = {"v": is_one, "kind": "anchor".__eq__, "reason": "start interval count stop".split().__contains__,
        "signer": is_hash, "development": is_flag, "root": is_hash, "chain": is_hash, "epoch": is_place,
        "anchor": is_place, "size": is_count,
        "made_at": moment, "next_due": moment, "origin": is_text, "bucket": is_text, "version": is_text}
OPTIONAL = {"prev_checkpoint": is_hash, "prev_meta": is_hash, "last_ts": moment, "region": is_text, "account": is_text,
            "bundle": is_text, "next_key": public_key}

# The bytes of a record.
def no_float(text):
    raise ValueError("no integer: %.20s" % text)
DECODE = json.JSONDecoder(parse_float=no_float, parse_constant=no_float).decode
ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
def levels(value):
    if type(value) in (dict, list):
        need(type(value) is list or all(map(KEY.fullmatch, value)), "a key outside the profile")
        return 1 + max(map(levels, value.values() if type(value) is dict else value), default=0)
    need(value is not None and (type(value) is not int or -SAFE <= value <= SAFE), "null, or too large")
    return 0
def parse(raw):
    """The object that these bytes are in the profile; ValueError or RecursionError for bytes outside of it."""
    need(len(raw) <= LIMIT, "longer than 65,536 bytes")
    value = DECODE(raw.decode("utf-8"))
    need(type(value) is dict and levels(value) <= 8, "no object, or too many levels")
    need(ENCODE(value).encode("utf-8") == raw, "not the canonical bytes, or a key twice")
    return value
def loose(raw):
    """JSON of any spelling, no key twice."""
    def once(pairs):
        need(len(dict(pairs)) == len(pairs), "a key twice")
        return dict(pairs)
    return json.loads(raw.decode("utf-8"), object_pairs_hook=once)

# Notes and signatures.
def read_note(raw):
    """The text of a note, and its signature lines as (name, key id, signature)."""
    whole = raw.decode("utf-8")
    need(len(raw) <= LIMIT and not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", whole), "too long, or control characters")
    text, gap, tail = whole.rpartition("\n\n")
    lines = [SIGNATURE.fullmatch(line) for line in tail[:-1].split("\n")]
    need(gap and tail.endswith("\n") and len(lines) <= 16 and all(lines), "cut, or a line that is no signature")
    lines = [(line[1], unbase64(line[2])) for line in lines]
    need(all(len(signature) > 4 for _, signature in lines), "a signature that is too short")
    return text + "\n", [(name, signature[:4], signature[4:]) for name, signature in lines]
def jobs_of(note, name, keys):
    return {(key, note[0], line[2]) for key in keys for line in note[1] if line[:2] == (name, sha(key)[:4])}
def is_good(job):
    with tempfile.TemporaryDirectory() as folder:
        pem = b"-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n" % base64.encodebytes(job[0])
        for name, content in (("key", pem), ("signature", job[2])):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        command = "openssl dgst -sha256 -verify key -signature signature".split()
        done = subprocess.run(command, cwd=folder, input=job[1].encode(), capture_output=True)
    # It reads no more than 72 bytes, the most that such a signature has.
    return len(job[2]) <= 72 and done.returncode == 0 and done.stdout.strip() == b"Verified OK"
def good_signatures(jobs):
    """Those of (public key, text, signature) that openssl finds good; it is asked many at a time."""
    with ThreadPoolExecutor((os.cpu_count() or 1) * 2) as threads:
        jobs = list(set(jobs))
        return {job for job, good in zip(jobs, threads.map(is_good, jobs)) if good}

# The tree.
def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()
def fold(hashes):
    while len(hashes) > 1:
        hashes = [node(*hashes[i:i + 2]) for i in range(0, len(hashes), 2)]
    return hashes[0]

class Tree:
    """The roots of the perfect subtrees, the largest first."""
    def __init__(self, size=0, peaks=()):
        self.size, self.peaks = size, list(peaks)
    def add(self, leaf):
        rest, self.size = self.size, self.size + 1
        while rest & 1:
            leaf, rest = node(self.peaks.pop(), leaf), rest >> 1
        self.peaks.append(leaf)
    def root(self):
        root = self.peaks[-1] if self.peaks else sha()
        for peak in self.peaks[-2::-1]:
            root = node(peak, root)
        return root

class Tiles:
    """Tiles, as those of the tree of one size. ValueError where one is missing or malformed."""
    def __init__(self, files=None):
        self.size, self.read = 0, {}
        for name in files.names("tile/") if files else ():
            path, _, width = name[5:].partition(".p/")
            level, groups = path.split("/", 1)
            raw, place = files.get(name), (int(level), int(re.sub("[x/]", "", groups)))
            need(len(raw) == 32 * int(width or 256), "a tile of another length: " + name)
            self.read[place] = max(raw, self.read.get(place, b""), key=len)
        self.leaves = max((256 * n + len(raw) // 32 for (level, n), raw in self.read.items() if level == 0), default=0)
    def hash(self, level, index):
        raw = self.read.get((level, index >> 8), b"")[32 * (index & 255):][:32]
        need(raw, "missing: hash %d of level %d" % (index, level))
        return raw
    def tree(self, size):
        start, peaks = 0, []
        for height in range(size.bit_length() - 1, -1, -1):
            if size >> height & 1:
                level, first = height // 8, start >> 8 * (height // 8)
                peaks.append(fold([self.hash(level, i) for i in range(first, first + (1 << height % 8))]))
                start += 1 << height
        return Tree(size, peaks)
    def check(self, size, root, first, last):
        """The tiles of the tree of this size that overlap the leaves first to last, from 0, lead to its root."""
        need(self.tree(size).root() == root, "they give another root")
        for level in range(8):
            have, up = size >> 8 * level, 8 * level + 8
            for n in range(first >> up, min(min(last, size - 1) >> up, (have - 1) >> 8) + 1):
                hashes = [self.hash(level, i) for i in range(256 * n, min(256 * n + 256, have))]
                need(len(hashes) < 256 or fold(hashes) == self.hash(level + 1, n), "tile %d of level %d" % (n, level))
        self.size = size
    def leaf(self, seq):
        return seq <= self.size and self.read.get((0, (seq - 1) >> 8), b"")[32 * ((seq - 1) & 255):][:32] or None

def origin_of(trust, epoch):
    return trust["origin"] + ("/epoch-%d" % epoch if epoch > 1 else "")

# Files, and their lines.
class Files:
    """The files of a folder or of a tar archive: by name (path on disk, offset, length)."""
    def __init__(self, path):
        self.table = {}
        for folder, folders, names in os.walk(path):
            for full in (os.path.join(folder, name) for name in folders + names):
                need(not os.path.islink(full) and (os.path.isdir(full) or os.path.isfile(full)), "no file: " + full)
                if os.path.isfile(full):
                    self.table[os.path.relpath(full, path).replace(os.sep, "/")] = (full, 0, os.path.getsize(full))
        if not os.path.isdir(path):
            with tarfile.open(path, "r:") as archive:
                for entry in archive:
                    name = re.sub(r"^(\./)+", "", entry.name)
                    need(entry.isdir() or entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and name not in self.table
                         and not name.startswith("/") and ".." not in name, "no file of a bundle: " + name)
                    self.table.update({} if entry.isdir() else {name: (path, entry.offset_data, entry.size)})
                rest = read_file((path, archive.offset, -1))
            need(len(rest) >= 1024 and not rest.strip(b"\0"), "the archive is cut or broken, or goes on after its end")
    def names(self, begin):
        return sorted(name for name in self.table if name.startswith(begin) and NAME.fullmatch(name))
    def get(self, name):
        return read_file(self.table[name])
    def lines(self, pool, read, kind):
        """What `read` makes of each line of these files, in order, never far ahead."""
        work = [(self.table[name], read) for name in self.names(kind)]
        for start in range(0, len(work), 32):
            for items in pool.imap(read_lines, work[start:start + 32]):
                yield from items
def read_file(place):
    with open(place[0], "rb") as file:
        file.seek(place[1])
        return file.read(place[2])
def read_lines(work):
    *lines, rest = read_file(work[0]).split(b"\n")
    return [work[1](line) for line in lines] + ([work[1](rest + b"\n")] if rest else [])  # a newline is in no line
def read_record(line):
    """(leaf, seq, ts, kind, what matters of that kind, commitments), or (leaf, None, code, why)."""
    leaf = hashlib.sha256(b"\0" + line.rstrip(b"\n")).digest()
    try:
        record = parse(line)
        if not is_one(record.get("v")):
            return leaf, None, "version", "v is not 1"
        if not is_place(record.get("seq")):
            return leaf, None, "number", "no seq"
        ts = moment(record.get("ts"))
    except BAD as error:
        return leaf, None, "profile", str(error)
    kind, detail, private = record.get("kind"), record.get("detail"), record.get("private")
    part = {"outcome": (record.get("intent"), record.get("result")), "erasure": record.get("erased"),
            "epoch": record.get("epoch")}.get(kind if is_text(kind) else None)
    if record["seq"] == 1:
        part = detail.get("origin") if record.get("action") == "chain:begin" and type(detail) is dict else None
    return leaf, record["seq"], ts, kind, part, private if type(private) is dict else {}
def read_value(line):
    try:
        value = fits(parse(line), VALUE)
        return value["seq"], value["name"], sha(b"\3", bytes.fromhex(value["salt"]), value["value"].encode()).hex()
    except BAD as error:
        return str(error)
def read_anchor(line):
    try:
        line = fits(parse(line), LINE)
        return Anchor(line["epoch"], line["number"], line["checkpoint"].encode(), line["meta"].encode())
    except BAD as error:
        return str(error)
def read_trust(path):
    trust = fits(loose(read_file((path, 0, -1))), TRUST, {"development": is_flag, "breaks": is_list_of(BREAK)})
    need(trust["keys"], "a trust file without keys")
    keys = [public_key(key["public_key"]) for key in trust["keys"]]
    return {"development": False, "breaks": [], **trust, "keys": keys}

class Anchor:
    def __init__(self, epoch, number, *raw):
        self.epoch, self.number, self.raw, self.good, self.match = epoch, number, raw, False, (None, None)
        self.where = {"epoch": epoch, "anchor": number}
    def read(self, trust):
        """Takes the notes apart; what contradicts what."""
        self.notes, self.name = [read_note(raw) for raw in self.raw], origin_of(trust, self.epoch)
        origin, size, root, end = self.notes[0][0].split("\n")
        need(not end and COUNT.fullmatch(size) and self.notes[1][0].count("\n") == 1, "no checkpoint or metadata")
        self.size, self.root, store = int(size), unbase64(root, 32), trust["store"]
        meta = self.meta = fits(parse(self.notes[1][0][:-1].encode()), META, OPTIONAL)
        self.made, self.due = moment(meta["made_at"]), moment(meta["next_due"])
        self.chain = bytes.fromhex(meta["chain"])
        self.next_key = public_key(meta["next_key"]) if "next_key" in meta else None
        wanted = {"origin": self.name, "epoch": self.epoch, "anchor": self.number, "size": self.size,
                  "root": self.root.hex(), "bucket": store.get("bucket", store.get("path")),
                  "region": store.get("region"),
                  "account": store.get("account") or ("path" not in store and meta.get("account") or None)}
        wrong = [name for name, value in wanted.items() if meta.get(name) != value]
        allowed = trust["development"] or "path" in store
        return wrong + ["checkpoint"] * (origin != self.name) + ["development"] * (meta["development"] and not allowed)

def check_anchors(anchors, trust, report, from_one):
    """Finds which are good. The last good one, and the keys that are in force after it."""
    wrong, force, before, last = {}, trust["keys"], None, None
    for a in anchors:
        try:
            wrong[a] = a.read(trust)
        except BAD as error:
            report("note", error, **a.where)
    keys = set(trust["keys"]) | {a.next_key for a in wrong if a.next_key}
    good = good_signatures(job for a in wrong for note in a.notes for job in jobs_of(note, a.name, keys))
    for a in anchors:
        follows = before if before and before.epoch == a.epoch else None
        due = follows.number + 1 if follows else a.number if not (before or from_one) else 1
        if a.number > due or from_one and not before and a.epoch > 1:
            report("gap", "anchors are missing before %d" % a.number, epoch=a.epoch, anchor=due)
        before = a
        if a not in wrong:
            continue
        own = [key for key in force if sha(key).hex() == a.meta["signer"]][:1]
        signers = own + [a.next_key] * bool(a.next_key)
        signed = [jobs_of(note, a.name, [key]) for note in a.notes for key in signers]
        a.good = bool(own) and not wrong[a] and all(jobs and jobs <= good for jobs in signed)
        if not a.good:
            report("anchor" if wrong[a] else "signature", ", ".join(wrong[a]) or "not by the key in force", **a.where)
            continue
        links = [a.meta.get("prev_checkpoint"), a.meta.get("prev_meta")]
        if any(links) != (a.number > 1) or follows and a.number == due and links != [sha(r).hex() for r in follows.raw]:
            report("link", "not the notes of the anchor before", **a.where)
        if last and last.epoch == a.epoch and (a.size < last.size or a.made < last.made):
            report("backwards", "size or time", **a.where)
        force, last = signers[-1:], a
    return last, force

class Log:
    """Follows the records: chain, tree, anchors at their sizes, and what records say of each other."""
    def __init__(self, trust, manifest, anchors, last_good, tiles, values, report):
        self.first, self.last, self.head = max(manifest["first"], 1), manifest["last"], manifest["head"]
        self.trust, self.tiles, self.report, self.values, self.last_good = trust, tiles, report, values, last_good
        self.good, self.waiting, self.manifest = [a for a in anchors if a.good], {}, manifest
        for a in self.good:
            self.waiting.setdefault(a.size, []).append(a)
        self.next, self.here, self.count, self.late, self.base = self.first, 0, 0, None, None
        self.lost, self.intents, self.epochs, self.absent, self.erased = [], set(), [], [], set()
        self.tree, self.chain = Tree(), sha(b"rack-gateway-audit/v1\n", trust["origin"].encode())
        if self.first > 1:              # without a tree, or a chain, it cannot be followed
            self.base = self.waiting.get(self.first - 1, [None])[-1]
            self.chain = self.base.chain if self.base else report("base", "no good anchor of that size")
            self.tree = tiles.tree(self.first - 1) if tiles.size else None
        self.compare()
    def compare(self):
        for a in self.waiting.get(self.next - 1, ()) if self.tree else ():
            a.match = (self.tree.root() == a.root, self.chain in (None, a.chain))
            self.chain = self.chain or (a.chain if a.match[0] else None)
    def grow(self, leaf, known):
        """On to the next record; `leaf` is that of the record here, `known` that of the tiles."""
        self.chain = sha(b"\2", self.chain, leaf) if self.chain and leaf and known in (None, leaf) else None
        self.tree = self.tree if known or leaf else None
        if self.tree:
            self.tree.add(known or leaf)
        self.next += 1
        self.compare()
    def skip(self, to):
        if self.next < to:
            self.report("missing", "up to %d" % (to - 1), record=self.next)
            self.lost.append((self.next, to - 1))
        while self.next < to and self.tree:
            self.grow(None, self.tiles.leaf(self.next))
        self.next = to
    def take(self, leaf, seq, *rest):
        self.count, place, known = self.count + 1, seq or self.next, self.tiles.leaf(seq or self.next)
        if seq is None:
            self.report(rest[0], rest[1], record=place)
        if not self.next <= place <= self.last:
            return seq and self.report("number", "%d is expected" % self.next, record=seq)
        self.skip(place)
        if known not in (None, leaf):
            self.report("leaf", "not the record that was anchored", record=place)
        if seq and known in (None, leaf):
            self.read(seq, *rest)
        else:
            self.lost.append((place, place))
        self.here = place
        self.grow(leaf, known)
    def is_lost(self, seq):
        at = bisect.bisect(self.lost, (seq, SAFE)) - 1
        return at >= 0 and seq <= self.lost[at][1]
    def read(self, seq, ts, kind, part, private):
        if not self.late and self.last_good and seq > self.last_good.size and ts > self.last_good.due:
            self.late = seq
            self.report("tail", "no anchor since %s" % self.last_good.meta["made_at"], record=seq)
        if seq == 1 and part != self.trust["origin"]:
            self.report("begin", "not the begin of this log", record=1)
        elif kind == "intent":
            self.intents.add(seq)
        elif kind == "outcome":
            intent, result = part or (None, None)
            if not is_place(intent) or intent >= self.first and not self.is_lost(intent) and intent not in self.intents:
                self.report("outcome", "no open intent %.20s" % (intent,), record=seq)
            elif result != "unknown":
                self.intents.discard(intent)
        elif kind == "erasure" and type(part) is dict:
            for name, numbers in part.items():
                self.erased.update((n, name) for n in numbers if is_place(n)) if type(numbers) is list else None
        elif kind == "epoch":
            self.epochs.append((seq, part))
        for name, commitment in private.items():
            value = self.values.pop((seq, name), None)
            if value is None:
                self.absent.append((seq, name))
            elif value != commitment:
                self.report("private", "not what the record commits to: " + name, record=seq)
    def declarations(self):
        """The records that declare epochs, and up to which size anchors of an epoch must match."""
        declared, kept = {}, {}
        for seq, told in self.epochs:
            try:
                number, keeps = fits(told, DECLARATION)["number"], told["kept"]
                below = [a for a in self.good if a.epoch < number]
                if {"epoch": number, "kept": keeps, "lost": told["lost"]} not in self.trust["breaks"]:
                    self.report("break", "kept %d of %d" % (keeps, told["lost"]), epoch=number)
                fine = below and number > max([1, *declared]) and keeps < seq and keeps in {0, *(a.size for a in below)}
                declared[number] = seq
                kept.update({a.epoch: min(keeps, kept.get(a.epoch, SAFE)) for a in below})
                need(fine and [told["anchor"], told["checkpoint"], told["lost"]] == [
                    below[-1].number, sha(below[-1].raw[0]).hex(), below[-1].size], "it does not fit the anchors")
            except ValueError as error:
                self.report("epoch", error, record=seq)
        return declared, kept
    def finish(self, tiled):
        """What shows at the end. The last anchor that matches, and up to where records are good."""
        report, head, last = self.report, self.head["seq"], self.last
        self.skip(last + 1)
        if last == head and self.chain and self.chain.hex() != self.head["chain"]:
            report("manifest", "the chain at the head is another")
        for seq, name in self.values:
            if not self.is_lost(seq):
                report("private", "no record commits to it: " + name, record=seq)
        declared, kept = self.declarations()
        compared = [a for a in self.good if a.size <= kept.get(a.epoch, SAFE)
                    and a.epoch >= (self.base.epoch if self.base else 1)]
        if tiled in compared and tiled.size > self.here and tiled.match[0] is None:
            tiled.match = (True, True)
        for a in compared:
            for code, match in zip(("root", "chain"), a.match):
                if match is False and not report.has(code):
                    report(code, "that of the records at %d is another" % a.size, **a.where)
            if self.first - 1 <= a.size < self.next and declared.get(a.epoch, SAFE) > a.size and (
                    a.epoch > (self.base.epoch if self.base else 1)):
                report("epoch", "no record before it declares the epoch", **a.where)
            if last == head < a.size and a.made <= moment(self.manifest["made_at"]):
                report("missing", "up to %d, by an anchor" % a.size, record=last + 1)
        for place in self.absent if self.manifest["private"] and last == head else ():
            if place not in self.erased:
                report("unerased", "no value and no erasure of " + place[1], record=place[0])
        matched = [a for a in compared if a.match == (True, True)]
        until = min(max([a.size for a in matched], default=0), self.here, report.first("record", SAFE) - 1)
        return (matched or [None])[-1], until if until >= self.first else 0

class Report(list):
    def __call__(self, code, detail, **where):
        self.append({"code": code, **where, "detail": str(detail)})
    def has(self, code):
        return any(finding["code"] == code for finding in self)
    def first(self, about, default=None):
        return min((finding[about] for finding in self if about in finding), default=default)
    def verdict(self):
        codes = {finding["code"] for finding in self}
        return "tampered" if codes - INCOMPLETE else "incomplete" if codes else "verified"

def anchors_of_bundle(files, report):
    anchors = []
    for a in (a for name in files.names("anchors/") for a in read_lines((files.table[name], read_anchor))):
        if type(a) is str:
            report("note", a)
        elif anchors and (a.epoch, a.number) <= (anchors[-1].epoch, anchors[-1].number):
            report("anchor", "out of order, or twice", **a.where)
        else:
            anchors.append(a)
    return anchors

def anchors_of_copy(folder, trust, report):
    files, notes = Files(folder), {}
    for name in sorted(files.table):
        parts = re.fullmatch("v1/%s(?:/epoch-([2-9]|[1-9][0-9]+))?/(checkpoint|meta)/([0-9]{12})"
                             % re.escape(trust["origin"]), name)
        if parts and int(parts[3]):
            notes.setdefault((int(parts[1] or 1), int(parts[3])), {})[parts[2]] = files.get(name)
    for (epoch, number), both in notes.items():
        if "meta" not in both and (epoch, number + 1) not in notes:
            report("gap", "no metadata", epoch=epoch, anchor=number)
    return [Anchor(*place, both["checkpoint"], both["meta"]) for place, both in sorted(notes.items()) if len(both) == 2]

def read_values(lines, report):
    values, before = {}, (0, "")
    for value in lines:
        if type(value) is str:
            report("private", value)
        elif value[:2] <= before:
            report("private", "out of order, or twice", record=value[0])
        else:
            values[value[:2]], before = value[2], value[:2]
    return values

def verify(args, trust, report):
    files = Files(args.bundle)
    raw = files.get("manifest.json")
    manifest = fits(loose(raw), MANIFEST, None)
    listed, first, last = {file["name"]: file for file in manifest["files"]}, manifest["first"], manifest["last"]
    if manifest["origin"] != trust["origin"] or not 0 < first <= last + 1 <= manifest["head"]["seq"] + 1 or (
            len(listed) < len(manifest["files"]) or not manifest["private"] and files.names("private/")):
        report("manifest", "origin, range, a file twice, or personal values that it does not tell of")
    for name in sorted({*listed, *files.table} - {"manifest.json", "manifest.note"}):
        if not (name in listed and name in files.table and NAME.fullmatch(name)):
            report("file", "missing, not in the manifest, or of no known name: " + name)
        elif listed[name]["sha256"] != sha(files.get(name)).hex() or listed[name]["bytes"] != files.table[name][2]:
            report("file", "other bytes than the manifest says: " + name)
    anchors = anchors_of_copy(args.anchors, trust, report) if args.anchors else anchors_of_bundle(files, report)
    good, force = check_anchors(anchors, trust, report, first <= 1)
    if not good:
        report("unanchored", "no good anchor")
    tiles, tiled = Tiles(), None
    try:
        if "manifest.note" in files.table:
            note, name = read_note(files.get("manifest.note")), good.name if good else trust["origin"]
            jobs = [jobs_of(note, name, [key]) for key in force]
            need(note[0] == "rack-gateway-audit-export/v1\n%s\n" % sha(raw).hex() and any(
                one and one <= good_signatures(one) for one in jobs), "manifest.note is not by the key in force")
    except ValueError as error:
        report("manifest", error)
    try:
        read = Tiles(files) if good else tiles
        reached = [a for a in anchors if a.good and (not args.anchors or a.size <= read.leaves)]
        if reached:
            need(reached[-1].size >= first - 1, "they do not reach the begin of the range")
            read.check(reached[-1].size, reached[-1].root, max(first, 1) - 1, last - 1)
            tiles, tiled = read, reached[-1]
    except ValueError as error:
        report("tile", error)
    with (multiprocessing.Pool if len(files.names("records/")) > 1 else ThreadPool)() as pool:
        values = read_values(files.lines(pool, read_value, "private/"), report)
        log = Log(trust, manifest, anchors, good, tiles, values, report)
        for record in files.lines(pool, read_record, "records/"):
            log.take(*record)
    if not log.count:
        report("empty", "no records")
    matched, until = log.finish(tiled)
    now = datetime.now(timezone.utc)
    if good and args.expect_fresh is not None and good.made < now - timedelta(seconds=args.expect_fresh):
        report("stale", "made at %s" % good.meta["made_at"], **good.where)
    if args.expect_fresh is not None and moment(manifest["made_at"]) < now - timedelta(seconds=args.expect_fresh):
        report("stale", "exported at %s" % manifest["made_at"])
    for a in anchors:
        if a.good and a.made > now + timedelta(minutes=5):
            report("future", "made at %s" % a.meta["made_at"], **a.where)
    last_good = matched and {"epoch": matched.epoch, "number": matched.number, "size": matched.size}
    return {"good_until": until, "last_good_anchor": last_good, "records": log.count, "anchors": len(anchors),
            "open_intents": len(log.intents), "exported_at": manifest["made_at"]}

def check_proof(path, trust, report):
    raw = read_file((path, 0, -1))
    need(raw.startswith(b"c2sp.org/tlog-proof@v1\n"), "no proof of a record")
    try:
        head, gap, note = raw.partition(b"\n\n")
        _, extra, index, *path = head.decode("ascii").split("\n")
        need(gap and extra[:6] == "extra " and index[:6] == "index " and COUNT.fullmatch(index[6:]), "bad lines")
        note, record, index = read_note(note), unbase64(extra[6:]), int(index[6:])
        origin, size, root, end = note[0].split("\n")
        need(not end and COUNT.fullmatch(size) and index < int(size), "no checkpoint of this record")
        need(re.fullmatch(re.escape(trust["origin"]) + "(/epoch-([2-9]|[1-9][0-9]+))?", origin), "another log")
        jobs = [jobs_of(note, origin, [key]) for key in trust["keys"]]
        need(any(one and one <= good_signatures(one) for one in jobs), "not signed by a trusted key")
        here, last, left = sha(b"\0", record), int(size) - 1, index          # RFC 9162, section 2.1.3.2
        for step in (unbase64(line, 32) for line in path):
            need(last, "a path that is too long")
            here = node(step, here) if left & 1 or left == last else node(here, step)
            while left == last and left and not left & 1:
                left, last = left >> 1, last >> 1
            left, last = left >> 1, last >> 1
        need(last == 0 and here == unbase64(root, 32), "the path leads to another root")
        need(parse(record).get("seq") == index + 1, "the record has another number")
    except BAD as error:
        report("proof", error)
    return {}

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, more in (("bundle", {"nargs": "?"}), ("--proof", {}), ("--trust", {"required": True}), ("--anchors", {}),
                       ("--expect-fresh", {"type": int}), ("--json", {"action": "store_true"})):
        parser.add_argument(name, **more)
    try:
        args, report = parser.parse_args(), Report()
        need((args.bundle is None) != (args.proof is None), "either a bundle or --proof")
        subprocess.run(["openssl", "version"], check=True, stdout=subprocess.DEVNULL)
        trust = read_trust(args.trust)
        result = check_proof(args.proof, trust, report) if args.proof else verify(args, trust, report)
    except SystemExit as stop:
        return 3 if stop.code else 0
    except Exception as error:
        print("error: the check could not be made: %s: %s" % (type(error).__name__, error), file=sys.stderr)
        return 3
    result.update(first_bad_record=report.first("record"), first_bad_anchor=report.first("anchor"))
    result["findings"] = report[:1000]
    result = {"verdict": report.verdict(), **{name: value for name, value in result.items() if value is not None}}
    print(json.dumps(result, indent=None if args.json else 1))
    return ("verified", "tampered", "incomplete").index(report.verdict())

if __name__ == "__main__":
    sys.exit(main())
