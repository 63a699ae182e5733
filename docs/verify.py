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

INCOMPLETE = set("version break gap unanchored base tail stale future empty".split())
LIMIT, SAFE, SHOWN = 65536, 2**53 - 1, 1000
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
KEY, HEX, COUNT = (re.compile(e) for e in ("[a-z][a-z0-9_]{0,63}", "[0-9a-f]{64}", "0|[1-9][0-9]{0,15}"))
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
NAME = re.compile(r"trust\.json|(records|private|anchors)/[0-9]{6}\.jsonl|tile/[0-7]/(x[0-9]{3}/)*[0-9]{3}"
                  r"(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?")
SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+=*)")

def need(condition, message):
    if not condition:
        raise ValueError(message)

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def is_count(value):
    return type(value) is int and 0 <= value <= SAFE

def is_text(value):
    return type(value) is str

def is_hash(value):
    return type(value) is str and HEX.fullmatch(value)

def moment(text):
    need(type(text) is str and TIME.fullmatch(text), "no time: %.40r" % (text,))
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)

def unbase64(text, length=None):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text and length in (None, len(raw)), "bad base64, or of another length")
    return raw

def public_key(text):
    key = unbase64(text, 91)
    need(key.startswith(P256), "no public key on P-256")
    return key

def fits(value, must, may=()):
    need(type(value) is dict and {*must} <= {*value} <= {*must, *may}, "not these fields: %s" % sorted(must))

# ---- the bytes of a record

def no_float(text):
    raise ValueError("no integer: %.20s" % text)

DECODE = json.JSONDecoder(parse_float=no_float, parse_constant=no_float).decode
ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode

def parse(raw):
    """The object that these bytes are in the profile; ValueError for bytes outside of it."""
    need(len(raw) <= LIMIT, "longer than 65,536 bytes")
    try:
        value = DECODE(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("too many levels") from None
    need(type(value) is dict, "no object")
    values, level = [value], 1
    while values:
        inner = []
        for item in values:
            if type(item) in (dict, list):
                need(level <= 8, "more than 8 levels")
                need(type(item) is list or all(map(KEY.fullmatch, item)), "a key outside the profile")
                inner.extend(item.values() if type(item) is dict else item)
            else:
                need(item is not None and (type(item) is not int or -SAFE <= item <= SAFE), "null, or too large")
        values, level = inner, level + 1
    need(ENCODE(value).encode("utf-8") == raw, "not the canonical bytes, or a key twice")
    return value

def once(pairs):
    need(len(dict(pairs)) == len(pairs), "a key twice")
    return dict(pairs)

# ---- notes and signatures

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

def jobs_of(note, name, key):
    return [(key, note[0], line[2]) for line in note[1] if line[:2] == (name, sha(key)[:4])]

class Signatures:
    """Asks openssl, many at a time, about (public key, text, signature)."""
    def __init__(self, jobs=()):
        self.known, jobs = {}, list(set(jobs))
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor((os.cpu_count() or 1) * 2) as threads:
            for key in {job[0] for job in jobs}:
                with open(os.path.join(folder, sha(key).hex()), "w", encoding="ascii") as file:
                    body = base64.encodebytes(key).decode()
                    file.write("-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n" % body)

            def ask(number):
                key, text, signature = jobs[number]
                path = os.path.join(folder, str(number))
                with open(path, "wb") as file:
                    file.write(signature)
                command = ["openssl", "dgst", "-sha256", "-verify", os.path.join(folder, sha(key).hex())]
                done = subprocess.run(command + ["-signature", path], input=text.encode(), capture_output=True)
                return done.returncode == 0 and done.stdout.strip() == b"Verified OK"
            self.known.update(zip(jobs, threads.map(ask, range(len(jobs)))))

    def signed(self, note, name, key):
        jobs = jobs_of(note, name, key)
        return bool(jobs) and all(self.known[job] for job in jobs)

# ---- the tree

def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()

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
        raw = self.read.get((level, index >> 8), b"")[32 * (index & 255):32 * (index & 255) + 32]
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
            have = size >> 8 * level
            for n in range(first >> 8 * level + 8, min(min(last, size - 1) >> 8 * level + 8, (have - 1) >> 8) + 1):
                count = min(256, have - 256 * n)
                hashes = [self.hash(level, 256 * n + i) for i in range(count)]
                need(count < 256 or fold(hashes) == self.hash(level + 1, n), "tile %d of level %d" % (n, level))
        self.size = size

    def leaf(self, seq):
        raw = self.read.get((0, (seq - 1) >> 8)) if seq <= self.size else None
        return raw[32 * ((seq - 1) & 255):][:32] if raw else None

# ---- the files of a bundle

class Files:
    """The files of a folder or of a tar archive: by name (path on disk, offset, length)."""
    def __init__(self, path):
        self.table = {}
        for folder, folders, names in os.walk(path):
            for full in (os.path.join(folder, name) for name in folders + names):
                need(not os.path.islink(full) and (os.path.isdir(full) or os.path.isfile(full)), "no file: " + full)
                if os.path.isfile(full):
                    self.table[os.path.relpath(full, path).replace(os.sep, "/")] = (full, 0, os.path.getsize(full))
        if os.path.isdir(path):
            return
        with tarfile.open(path, "r:") as archive, open(path, "rb") as file:
            for entry in archive:
                name = re.sub(r"^(\./)+", "", entry.name)
                need(entry.isdir() or entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and name not in self.table
                     and not name.startswith("/") and ".." not in name, "no file for a bundle: " + name)
                if not entry.isdir():
                    self.table[name] = (path, entry.offset_data, entry.size)
            rest = read_file((path, archive.offset, -1))
            need(len(rest) >= 1024 and not rest.strip(b"\0"), "the archive is cut or broken, or goes on after its end")

    def names(self, begin):
        return sorted(name for name in self.table if name.startswith(begin) and NAME.fullmatch(name))

    def get(self, name):
        return read_file(self.table[name])

    def lines(self, pool, read, kind):
        """What `read` makes of each line of these files, in order, never far ahead."""
        files = [(self.table[name], read) for name in self.names(kind)]
        for start in range(0, len(files), 32):
            for items in pool.imap(read_lines, files[start:start + 32]):
                yield from items

def read_file(place):
    with open(place[0], "rb") as file:
        file.seek(place[1])
        return file.read(place[2])

def read_lines(work):
    *lines, rest = read_file(work[0]).split(b"\n")
    return [work[1](line, True) for line in lines] + ([work[1](rest, False)] if rest else [])

def read_record(line, whole):
    """(leaf, seq, ts, kind, what matters of that kind, commitments), or (leaf, None, code, why)."""
    leaf = hashlib.sha256(b"\0" + line).digest()
    try:
        need(whole, "no newline after it")
        record = parse(line)
        if type(record.get("v")) is not int or record["v"] != 1:
            return leaf, None, "version", "v is not 1"
        need(is_count(record.get("seq")) and record["seq"], "no seq")
        ts = moment(record.get("ts"))
    except ValueError as error:
        return leaf, None, "profile", str(error)
    kind, detail, private = record.get("kind"), record.get("detail"), record.get("private")
    part = {"outcome": (record.get("intent"), record.get("result")), "erasure": record.get("erased"),
            "epoch": record.get("epoch")}.get(kind if is_text(kind) else None)
    if record["seq"] == 1:
        part = detail.get("origin") if record.get("action") == "chain:begin" and type(detail) is dict else None
    return leaf, record["seq"], ts, kind, part, private if type(private) is dict else {}

def read_value(line, whole):
    """(seq, name, commitment in hex) of a personal value; without seq where it is none."""
    try:
        value = parse(line)
        fits(value, ("name", "salt", "seq", "value"))
        need(whole and is_count(value["seq"]) and is_text(value["name"]) and is_text(value["value"])
             and is_text(value["salt"]) and re.fullmatch("[0-9a-f]{32}", value["salt"]), "no personal value")
        commitment = sha(b"\3", bytes.fromhex(value["salt"]), value["value"].encode())
        return value["seq"], value["name"], commitment.hex()
    except ValueError as error:
        return None, str(error), None

def read_anchor(line, whole):
    try:
        anchor = parse(line)
        fits(anchor, ("checkpoint", "epoch", "meta", "number"))
        need(whole and is_count(anchor["epoch"]) and is_count(anchor["number"]) and anchor["epoch"]
             and anchor["number"] and is_text(anchor["checkpoint"]) and is_text(anchor["meta"]), "no anchor")
        return Anchor(anchor["epoch"], anchor["number"], anchor["checkpoint"].encode(), anchor["meta"].encode())
    except ValueError:
        return None

# ---- trust and anchors

def read_trust(path):
    trust = json.loads(read_file((path, 0, -1)).decode("utf-8"), object_pairs_hook=once)
    fits(trust, ("v", "origin", "keys", "store"), ("development", "breaks"))
    store, breaks = trust["store"], trust.setdefault("breaks", [])
    fits(store, *((("kind", "path"),) if store["kind"] == "file" else (("kind", "bucket", "region"), ("account",))))
    need(store["kind"] in ("s3", "file") and all(map(is_text, store.values())), "no store")
    for entry in trust["keys"]:
        fits(entry, ("public_key",), ("name",))
    for entry in breaks:
        fits(entry, ("epoch", "kept", "lost"))
    need(type(trust["v"]) is int and trust["v"] == 1 and trust["keys"] and is_text(trust["origin"])
         and type(trust.setdefault("development", False)) is bool, "no trust file of version 1")
    trust["keys"] = [public_key(entry["public_key"]) for entry in trust["keys"]]
    return trust

def origin_of(trust, epoch):
    return trust["origin"] + ("/epoch-%d" % epoch if epoch > 1 else "")

CHECKS = (("epoch anchor size", is_count), ("root chain prev_checkpoint prev_meta signer", is_hash),
          ("origin bucket region account bundle version next_key", is_text), ("made_at next_due last_ts", moment),
          ("v", lambda v: v == 1 and type(v) is int), ("kind", "anchor".__eq__),
          ("development", lambda flag: type(flag) is bool), ("reason", "start interval count stop".split().__contains__))
FIELDS = {name: check for names, check in CHECKS for name in names.split()}
OPTIONAL = set("prev_checkpoint prev_meta last_ts region account bundle next_key".split())

class Anchor:
    def __init__(self, epoch, number, *raw):
        self.epoch, self.number, self.raw, self.good, self.match = epoch, number, raw, False, (None, None)
        self.meta, self.keys, self.where = None, [], {"epoch": epoch, "anchor": number}

    def read(self):
        self.notes = [read_note(raw) for raw in self.raw]
        self.origin, size, root, end = self.notes[0][0].split("\n")
        need(not end and COUNT.fullmatch(size) and self.notes[1][0].count("\n") == 1, "no checkpoint or metadata")
        meta, self.size, self.root = parse(self.notes[1][0][:-1].encode()), int(size), unbase64(root, 32)
        fits(meta, FIELDS.keys() - OPTIONAL, OPTIONAL)
        need(all(FIELDS[name](value) for name, value in meta.items()), "a field of another form")
        self.made, self.due = moment(meta["made_at"]), moment(meta["next_due"])
        self.next_key = public_key(meta["next_key"]) if "next_key" in meta else None
        self.chain, self.meta = bytes.fromhex(meta["chain"]), meta

    def contradictions(self, trust):
        meta, store = self.meta, trust["store"]
        wanted = {"origin": origin_of(trust, self.epoch), "epoch": self.epoch, "anchor": self.number,
                  "size": self.size, "root": self.root.hex(), "region": store.get("region"),
                  "bucket": store.get("bucket", store.get("path"))}
        if store.get("account") or "path" in store:
            wanted["account"] = store.get("account")
        wrong = [name for name, value in wanted.items() if meta.get(name) != value]
        wrong += ["checkpoint"] * (self.origin != wanted["origin"]) + ["last_ts"] * (("last_ts" in meta) != (self.size > 0))
        return wrong + ["development"] * (meta["development"] and not trust["development"] and "path" not in store)

def check_anchors(anchors, trust, report, from_one):
    """Finds which are good. The last good one, and the key that is in force after it."""
    for a in anchors:
        try:
            a.read()
        except ValueError as error:
            report("note", error, **a.where)
    known = set(trust["keys"]) | {a.next_key for a in anchors if a.meta and a.next_key}
    signatures = Signatures(job for a in anchors if a.meta for note in a.notes for key in known
                            for job in jobs_of(note, origin_of(trust, a.epoch), key))
    force, before, good = trust["keys"], None, None
    if from_one and anchors and anchors[0].epoch > 1:
        report("gap", "nothing of epoch 1", epoch=1, anchor=1)
    for a in anchors:
        follows = before if before and before.epoch == a.epoch else None
        due = follows.number + 1 if follows else a.number if not before and not from_one else 1
        if a.number > due:
            report("gap", "up to %d" % (a.number - 1), epoch=a.epoch, anchor=due)
        if a.meta:
            wrong, name = a.contradictions(trust), origin_of(trust, a.epoch)
            signer = next((key for key in force if sha(key).hex() == a.meta["signer"]), None)
            keys = [signer] + [a.next_key] * bool(a.next_key)
            a.good = not wrong and signer and all(signatures.signed(note, name, k) for note in a.notes for k in keys)
            if not a.good:
                report("anchor" if wrong else "signature", ", ".join(wrong) or "not by the key in force", **a.where)
        if a.good:
            links = [a.meta.get("prev_checkpoint"), a.meta.get("prev_meta")]
            if any(links) != (a.number > 1) or follows and a.number == due and (
                    links != [sha(raw).hex() for raw in follows.raw]):
                report("link", "not the notes of the anchor before", **a.where)
            if good and good.epoch == a.epoch:
                if a.size < good.size or a.made < good.made:
                    report("backwards", "size or time", **a.where)
                report.late += a.made > good.due
            force, good = keys[-1:], a
        before = a
    return good, force

# ---- the records

class Log:
    """Follows the records: chain, tree, anchors at their sizes, and what records say of each other."""
    def __init__(self, trust, manifest, anchors, good, tiles, values, report):
        self.first, self.last, self.exported = max(manifest["first"], 1), manifest["last"], manifest["private"]
        self.trust, self.tiles, self.report, self.values, self.value = trust, tiles, report, values, None
        self.good, self.last_good, self.waiting = [a for a in anchors if a.good], good, {}
        for a in self.good:
            self.waiting.setdefault(a.size, []).append(a)
        self.next, self.count, self.here, self.late = self.first, 0, self.first - 1, None
        self.lost, self.intents, self.epochs, self.absent, self.erased = [], set(), [], [], set()
        self.tree, self.chain, self.base = None, None, None      # None: it cannot be followed
        if self.first == 1:
            self.tree, self.chain = Tree(), sha(b"rack-gateway-audit/v1\n", trust["origin"].encode())
        else:
            self.base = self.waiting.get(self.first - 1, [None])[-1]
            self.chain = self.base.chain if self.base else report("base", "no good anchor of that size")
            self.tree = tiles.tree(self.first - 1) if tiles.size else None
        self.following = []
        self.compare()
        self.pull()

    def compare(self):
        for a in self.waiting.get(self.next - 1, ()) if self.tree else ():
            a.match = (self.tree.root() == a.root, self.chain in (None, a.chain))
            self.chain = self.chain or (a.chain if a.match[0] else None)

    def grow(self, leaf, damaged):
        """On to the next record; its leaf is None where nobody knows it."""
        self.chain = sha(b"\2", self.chain, leaf) if self.chain and leaf and not damaged else None
        self.tree = self.tree if leaf else None
        if self.tree:
            self.tree.add(leaf)
        self.next += 1
        self.compare()

    def skip(self, to):
        if self.next < to:
            self.report("missing", "up to %d" % (to - 1), record=self.next)
            self.lost.append((self.next, to - 1))
            while self.next < to and self.tree:
                self.grow(self.tiles.leaf(self.next), True)
            self.next = to

    def take(self, leaf, seq, *rest):
        self.count += 1
        if seq is None:
            seq = self.next
            self.report(rest[0], rest[1], record=seq)
        if seq < self.next or seq > self.last:
            return self.report("number", "%d is expected" % self.next, record=seq) if len(rest) > 2 else None
        self.skip(seq)
        known = self.tiles.leaf(seq)
        if known and known != leaf and (len(rest) > 2 or rest[0] == "version"):
            self.report("leaf", "not the record that was anchored", record=seq)
        if len(rest) == 2 or known and known != leaf:
            self.lost.append((seq, seq))
        else:
            self.read(seq, *rest)
        self.here = seq
        self.grow(known or leaf, known and known != leaf)

    def is_lost(self, seq):
        at = bisect.bisect(self.lost, (seq, SAFE)) - 1
        return at >= 0 and seq <= self.lost[at][1]

    def pull(self):
        """The next personal value that is in order."""
        before, self.value = self.value, next(self.values, None)
        while self.value and (self.value[0] is None or before and self.value[:2] <= before[:2]):
            where = {"record": self.value[0]} if self.value[0] is not None else {}
            self.report("private", "out of order, or no value: " + self.value[1], **where)
            self.value = next(self.values, None)

    def given(self, seq):
        found = {}
        while self.value and self.value[0] <= seq:
            if self.value[0] == seq:
                found[self.value[1]] = self.value[2]
            elif not self.is_lost(self.value[0]):
                self.report("private", "of a record that is not there", record=self.value[0])
            self.pull()
        return found

    def read(self, seq, ts, kind, part, private):
        if self.last_good and seq > self.last_good.size and ts > self.last_good.due:
            self.late = self.late or seq
        if seq == 1 and part != self.trust["origin"]:
            self.report("begin", "not the begin of this log", record=1)
        elif kind == "intent":
            self.intents.add(seq)
        elif kind == "outcome":
            intent, result = part or (None, None)
            if is_count(intent) and (intent < self.first or self.is_lost(intent)):
                pass
            elif not is_count(intent) or intent not in self.intents:
                self.report("outcome", "no open intent %.20s" % (intent,), record=seq)
            elif result != "unknown":
                self.intents.remove(intent)
        elif kind == "erasure" and type(part) is dict:
            self.erased.update((n, name) for name, seqs in part.items() if type(seqs) is list for n in seqs if is_count(n))
        elif kind == "epoch":
            self.epochs.append((seq, part))
        values = self.given(seq)
        for name in {*private, *values}:
            if name not in values:
                self.absent.append((seq, name))
            elif values[name] != private.get(name):
                self.report("private", "not what the record commits to: " + name, record=seq)

    def declarations(self):
        """The records that declare epochs, and up to which size anchors of an epoch must match."""
        declared, kept = {}, {}
        for seq, told in self.epochs:
            try:
                fits(told, ("anchor", "checkpoint", "kept", "lost", "number"))
                need(all(is_count(value) or name == "checkpoint" for name, value in told.items()), "no numbers")
                number, before = told["number"], [a for a in self.good if a.epoch < told["number"]]
                if {"epoch": number, "kept": told["kept"], "lost": told["lost"]} not in self.trust["breaks"]:
                    self.report("break", "kept %d of %d" % (told["kept"], told["lost"]), epoch=number)
                fine = number > max([1, *declared]) and told["kept"] < seq and before
                declared[number] = seq
                kept.update({e: min(told["kept"], kept.get(e, SAFE)) for e in range(1, min(number, 1000))})
                need(fine and (told["anchor"], told["checkpoint"], told["lost"]) == (
                    before[-1].number, sha(before[-1].raw[0]).hex(), before[-1].size) and (
                    told["kept"] in {0, *(a.size for a in before)}), "it does not fit the anchors")
            except ValueError as error:
                self.report("epoch", error, record=seq)
        return declared, kept

    def finish(self, manifest, tiled):
        """What shows at the end. The last anchor that matches, and up to where records are good."""
        report, head, last = self.report, manifest["head"], self.last
        self.skip(last + 1)
        if last == head["seq"] == self.next - 1 and self.chain and self.chain.hex() != head["chain"]:
            report("manifest", "the chain at the head is another")
        self.given(SAFE)
        declared, kept = self.declarations()
        compared = [a for a in self.good if a.size <= kept.get(a.epoch, SAFE)]
        if tiled in compared and tiled.size > self.here:
            tiled.match = (True, True) if tiled.match[0] is None else tiled.match
        for a in compared:
            if a.match[0] is False and "root" not in report.codes:
                report("root", "the records have another at %d" % a.size, **a.where)
            if a.match[1] is False and "chain" not in report.codes:
                report("chain", "the records have another value at %d" % a.size, **a.where)
            if self.first - 1 <= a.size < self.next and a.epoch > (self.base.epoch if self.base else 1) and (
                    declared.get(a.epoch, SAFE) > a.size):
                report("epoch", "no record before it declares the epoch", **a.where)
            if last == head["seq"] and a.size > last:
                if a.made <= moment(manifest["made_at"]):
                    report("missing", "up to %d, by an anchor" % a.size, record=last + 1)
        for seq, name in self.absent if self.exported and last == head["seq"] else ():
            if (seq, name) not in self.erased:
                report("unerased", "no value and no erasure of " + name, record=seq)
        if self.late:
            report("tail", "no anchor since %s" % self.last_good.meta["made_at"], record=self.late)
        matched = [a for a in compared if a.match == (True, True)]
        until = min(max([a.size for a in matched], default=0), self.here, report.lowest.get("record", SAFE) - 1)
        return (matched or [None])[-1], until if until >= self.first else 0

# ---- the report

class Report:
    def __init__(self):
        self.findings, self.codes, self.lowest, self.late = [], set(), {}, 0

    def __call__(self, code, detail, **where):
        self.codes.add(code)
        for about, number in where.items():
            self.lowest[about] = min(number, self.lowest.get(about, number))
        if len(self.findings) < SHOWN:
            self.findings.append({"code": code, **where, "detail": str(detail)})

    def verdict(self):
        return "tampered" if self.codes - INCOMPLETE else "incomplete" if self.codes else "verified"

def anchors_of_bundle(files, report):
    anchors = []
    for a in (a for name in files.names("anchors/") for a in read_lines((files.table[name], read_anchor))):
        if a is None:
            report("note", "no line of an anchor")
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
    for place, both in sorted(notes.items()):
        if "meta" not in both and (place[0], place[1] + 1) not in notes:
            report("gap", "no metadata", epoch=place[0], anchor=place[1])
    return [Anchor(*place, both["checkpoint"], both["meta"]) for place, both in sorted(notes.items()) if len(both) == 2]

def read_manifest(raw):
    manifest = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    need(type(manifest["v"]) is int and (manifest["v"], manifest["kind"]) == (1, "export"), "no manifest of version 1")
    need(is_text(manifest["origin"]) and is_count(manifest["first"]) and is_count(manifest["last"])
         and is_count(manifest["head"]["seq"]) and is_hash(manifest["head"]["chain"])
         and type(manifest["private"]) is bool and moment(manifest["made_at"]), "a manifest of another form")
    for file in manifest["files"]:
        need(is_text(file["name"]) and is_count(file["bytes"]) and is_hash(file["sha256"]), "a file of another form")
    return manifest

def check_files(files, raw, manifest, trust, report):
    listed = {file["name"]: file for file in manifest["files"]}
    first, last = manifest["first"], manifest["last"]
    if manifest["origin"] != trust["origin"] or not max(first, 1) == first <= last + 1 <= manifest["head"]["seq"] + 1 or (
            len(listed) < len(manifest["files"]) or not manifest["private"] and files.names("private/")):
        report("manifest", "origin, range, a file twice, or personal values that it does not tell of")
    for name in sorted({*listed, *files.table} - {"manifest.json", "manifest.note"}):
        told, place = listed.get(name), files.table.get(name)
        if not (told and place and NAME.fullmatch(name)):
            report("file", "missing, not in the manifest, or of another name: " + name)
        elif (place[2], hashlib.sha256(files.get(name)).hexdigest()) != (told["bytes"], told["sha256"]):
            report("file", "other bytes than the manifest says: " + name)

def verify(args, trust, report):
    files = Files(args.bundle)
    raw = files.get("manifest.json")
    manifest = read_manifest(raw)
    check_files(files, raw, manifest, trust, report)
    first = max(manifest["first"], 1)
    anchors = anchors_of_copy(args.anchors, trust, report) if args.anchors else anchors_of_bundle(files, report)
    good, force = check_anchors(anchors, trust, report, first == 1)
    if not good:
        report("unanchored", "no good anchor")
    if "manifest.note" in files.table:
        try:
            note, name = read_note(files.get("manifest.note")), origin_of(trust, good.epoch if good else 1)
            signatures = Signatures(job for key in force for job in jobs_of(note, name, key))
            need(note[0] == "rack-gateway-audit-export/v1\n%s\n" % sha(raw).hex()
                 and any(signatures.signed(note, name, key) for key in force), "not by the key of the last anchor")
        except ValueError as error:
            report("manifest", error)
    tiled = tiles = None
    try:
        tiles = Tiles(files)
        reached = [a for a in anchors if a.good and (not args.anchors or a.size <= tiles.leaves)]
        tiled = reached[-1] if reached else None
        if tiled:
            tiles.check(tiled.size, tiled.root, first - 1, manifest["last"] - 1)
    except ValueError as error:
        if good:
            report("tile", error)
        tiles = tiled = None
    with multiprocessing.Pool() as pool:
        values = files.lines(pool, read_value, "private/")
        log = Log(trust, manifest, anchors, good, tiles or Tiles(), values, report)
        for record in files.lines(pool, read_record, "records/"):
            log.take(*record)
        if not log.count:
            report("empty", "no records")
        matched, until = log.finish(manifest, tiled)
    now = datetime.now(timezone.utc)
    if good and args.expect_fresh is not None and good.made < now - timedelta(seconds=args.expect_fresh):
        report("stale", "made at %s" % good.meta["made_at"], **good.where)
    if args.expect_fresh is not None and moment(manifest["made_at"]) < now - timedelta(seconds=args.expect_fresh):
        report("stale", "exported at %s" % manifest["made_at"])
    for a in anchors:
        if a.good and a.made > now + timedelta(minutes=5):
            report("future", "made at %s" % a.meta["made_at"], **a.where)
    result = {"good_until": until, "records": log.count, "anchors": len(anchors), "late_anchors": report.late,
              "open_intents": len(log.intents), "exported_at": manifest["made_at"]}
    if matched:
        result["last_good_anchor"] = {"epoch": matched.epoch, "number": matched.number, "size": matched.size}
    return result

def check_proof(path, trust, report):
    raw = read_file((path, 0, -1))
    need(raw.startswith(b"c2sp.org/tlog-proof@v1\n"), "no proof of a record")
    try:
        head, gap, note = raw.partition(b"\n\n")
        _, extra, index, *path = head.decode("ascii").split("\n")
        need(gap and extra.startswith("extra ") and index.startswith("index ") and COUNT.fullmatch(index[6:]), "bad lines")
        note, record, index = read_note(note), unbase64(extra[6:]), int(index[6:])
        origin, size, root, end = note[0].split("\n")
        need(not end and COUNT.fullmatch(size) and index < int(size), "no checkpoint of this record")
        need(re.fullmatch(re.escape(trust["origin"]) + "(/epoch-([2-9]|[1-9][0-9]+))?", origin), "another log")
        signatures = Signatures(job for key in trust["keys"] for job in jobs_of(note, origin, key))
        need(any(signatures.signed(note, origin, key) for key in trust["keys"]), "not signed by a trusted key")
        here, last, left = sha(b"\0", record), int(size) - 1, index          # RFC 9162, section 2.1.3.2
        for step in (unbase64(line, 32) for line in path):
            need(last, "a path that is too long")
            here = node(step, here) if left & 1 or left == last else node(here, step)
            while left == last and not left & 1 and left:
                left, last = left >> 1, last >> 1
            left, last = left >> 1, last >> 1
        need(last == 0 and here == unbase64(root, 32), "the path leads to another root")
        need(parse(record).get("seq") == index + 1, "the record has another number")
        return {"record": index + 1}
    except ValueError as error:
        report("proof", error)
        return {}

class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)

def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, more in (("bundle", {"nargs": "?"}), ("--proof", {}), ("--trust", {"required": True}), ("--anchors", {}),
                       ("--expect-fresh", {"type": int}), ("--json", {"action": "store_true"})):
        parser.add_argument(name, **more)
    try:
        args, report = parser.parse_args(), Report()
        need((args.bundle is None) != (args.proof is None), "either a bundle or --proof")
        subprocess.run(["openssl", "version"], check=True, stdout=subprocess.DEVNULL)
        trust = read_trust(args.trust)
        result = check_proof(args.proof, trust, report) if args.proof else verify(args, trust, report)
    except Exception as error:
        print("error: the check could not be made: %s: %s" % (type(error).__name__, error), file=sys.stderr)
        return 3
    lowest = {"first_bad_" + about: report.lowest[about] for about in ("record", "anchor") if about in report.lowest}
    result = {"verdict": report.verdict(), **result, **lowest, "findings": report.findings}
    if args.json:
        print(json.dumps(result))
    else:
        for finding in result.pop("findings"):
            print("finding:", *("%s=%s" % item for item in finding.items()))
        print(*("%s: %s" % item for item in result.items()), sep="\n")
    return ("verified", "tampered", "incomplete").index(report.verdict())

if __name__ == "__main__":
    sys.exit(main())
