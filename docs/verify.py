#!/usr/bin/env python3
"""Verifies an export of the audit log, or the proof of one record, as docs/audit-format.md says.
    verify.py BUNDLE --trust trust.json [--anchors DIR] [--expect-fresh SECONDS] [--json]
    verify.py --proof FILE --trust trust.json [--json]
Written from that document; shares no code with the gateway. Needs Python 3.9 and the program `openssl`.
Exit codes: 0 verified, 1 tampered, 2 incomplete, 3 the check could not be made."""
import argparse, base64, bisect, hashlib, json, os, re, subprocess, sys, tarfile, tempfile
import contextlib, datetime as dt, functools, multiprocessing.pool, pathlib
INCOMPLETE = set("version break gap unanchored base tail stale future empty".split())
LIMIT, SAFE, BAD, EPOCH = 65536, 2**53 - 1, (ValueError, RecursionError), "(?:/epoch-([2-9]|[1-9][0-9]+))?"
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
PEM = b"-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n"
OPENSSL = "openssl dgst -sha256 -verify key -signature signature".split()
KEY, SIGNATURE = re.compile("[a-z][a-z0-9_]{0,63}"), re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]{7,}=*)")  # 5 bytes
NAME = re.compile(r"trust\.json|(records|private|anchors)/[0-9]{6}\.jsonl|tile/[0-7]/(x(?!000)[0-9]{3}/(x[0-9]{3}/)*)?"
                  r"[0-9]{3}(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?")
def need(condition, message):
    if not condition: raise ValueError(message)
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def moment(text): return dt.datetime.strptime(text if is_time(text) else "no time", "%Y-%m-%dT%H:%M:%S.%fZ")
def public_key(text): return unbase64(text, 91, P256)
def unbase64(text, length=None, begin=b""):
    raw = base64.b64decode(str(text), validate=True)
    need(base64.b64encode(raw).decode() == text and length in (None, len(raw)) and raw.startswith(begin), "bad base64")
    return raw
# What JSON must look like: fields and their types. "?" marks a field that may be absent, "*" stands for any others.
def fits(value, fields):
    checks = {name.rstrip("?"): check for name, check in fields.items()}
    need(type(value) is dict and checks.keys() & fields.keys() - {"*"} <= value.keys()
         and ("*" in fields or value.keys() <= checks.keys())
         and all(checks[name](value[name]) for name in value.keys() & checks.keys()), "not the fields that must be")
    return value
def fields(words): return {name: TYPES.get(kind) or like(kind) for name, kind in (w.split(":") for w in words.split())}
def like(pattern): return lambda value: type(value) is str and re.fullmatch(pattern, value)
def between(low, high): return lambda value: type(value) is int and low <= value <= high
def inside(words): return lambda value: fits(value, fields(words))
def list_of(words): return lambda value: type(value) is list and all(fits(it, fields(words)) for it in value)
is_one, is_count, is_place, is_digits = between(1, 1), between(0, SAFE), between(1, SAFE), like("0|[1-9][0-9]{0,15}")
is_time = like(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
TYPES = {"any": lambda value: True, "flag": lambda value: type(value) is bool, "text": like("(?s).*"), "one": is_one,
         "count": is_count, "place": is_place, "hash": like("[0-9a-f]{64}"), "time": moment, "key": public_key}
S3, KEYS = inside("kind:s3 bucket:text region:text account?:text"), list_of("public_key:key name?:text")
TRUST = {**fields("v:one origin:text development?:flag"), "breaks?": list_of("epoch:count kept:count lost:count"),
         "store": lambda it: inside("kind:file path:text")(it) if "path" in it else S3(it),
         "keys": lambda it: it and KEYS(it)}
MANIFEST = {**fields("v:one kind:export origin:text first:count last:count made_at:time private:flag *:any"),
            "head": inside("seq:count chain:hash *:any"), "files": list_of("name:text bytes:count sha256:hash *:any")}
VALUE, LINE, DECLARATION, META = map(fields, (
    "name:text salt:[0-9a-f]{32} seq:place value:text", "checkpoint:text epoch:place meta:text number:place",
    "anchor:count checkpoint:hash kept:count lost:count number:place",
    "v:one kind:anchor origin:text epoch:place anchor:place size:count root:hash chain:hash signer:hash version:text "
    "prev_checkpoint?:hash prev_meta?:hash made_at:time next_due:time last_ts?:time bundle?:text next_key?:key "
    "development:flag reason:start|interval|count|stop bucket:text region?:text account?:text"))
ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
def levels(value):
    if type(value) is list: return 1 + max(map(levels, value), default=0)
    if type(value) is dict and all(map(KEY.fullmatch, value)): return 1 + max(map(levels, value.values()), default=0)
    return need(type(value) in (str, bool) or type(value) is int and -SAFE <= value <= SAFE, "outside the profile") or 0
def parse(raw):  # the object that these bytes are in the profile; one of BAD for bytes outside of it
    need(len(raw) <= LIMIT, "longer than 65,536 bytes")
    value = json.loads(raw.decode("utf-8"))
    need(type(value) is dict and levels(value) <= 8 and ENCODE(value).encode() == raw, "no object in canonical bytes")
    return value
def once(pairs): return dict(pairs) if len(dict(pairs)) == len(pairs) else need(False, "a key twice")
def loose(raw): return json.loads(raw.decode("utf-8"), object_pairs_hook=once)  # of any spelling
def read_record(line):  # (leaf, seq, ts, what matters of it), or (leaf, None, code, why)
    leaf = sha(b"\0", line.rstrip(b"\n"))
    try:
        record = parse(line)
        if not is_one(record.get("v")): return leaf, None, "version", "v is not 1"
        if not is_place(record.get("seq")): return leaf, None, "number", "no seq from 1"
        matters = "kind intent result erased epoch private".split() + ["action", "detail"] * (record["seq"] == 1)
        return leaf, record["seq"], moment(record.get("ts")), {name: record.get(name) for name in matters}
    except BAD as error: return leaf, None, "profile", str(error)
def node(left, right): return sha(b"\1", left, right)
def fold(hashes): return fold([node(*hashes[i:i + 2]) for i in range(0, len(hashes), 2)]) if hashes[1:] else hashes[0]
class Tree:  # the roots of the perfect subtrees, the largest first
    def __init__(self, size=0, peaks=()): self.size, self.peaks = size, list(peaks)
    def add(self, leaf):
        rest, self.size = self.size, self.size + 1
        while rest & 1: leaf, rest = node(self.peaks.pop(), leaf), rest >> 1
        self.peaks.append(leaf)
    def root(self): return functools.reduce(lambda right, left: node(left, right), self.peaks[::-1] or [sha()])
class Tiles:  # those of a bundle; once they are checked, those of the tree of `size`
    def __init__(self): self.size, self.anchor, self.read = 0, None, {}
    def load(self, files):
        for name in names(files, "tile/"):
            level, groups, width = re.fullmatch(r"tile/(.)/([x0-9/]+)(?:\.p/(.+))?", name).groups()
            raw, place = read_file(files[name]), (int(level), int(re.sub("[x/]", "", groups)))
            need(len(raw) == 32 * int(width or 256), "a tile of another length: " + name)
            self.read[place] = max(raw, self.read.get(place, b""), key=len)
    def leaves(self): return max([256 * n + len(raw) // 32 for (level, n), raw in self.read.items() if not level] + [0])
    def get(self, level, index): return self.read.get((level, index >> 8), b"")[32 * (index & 255):][:32]
    def hashes(self, level, first, end):
        need(all(found := [self.get(level, i) for i in range(first, end)]), "missing: hashes of level %d" % level)
        return found
    def tree(self, size):
        heights = [(bit, size >> bit + 1 << bit + 1) for bit in range(size.bit_length())[::-1] if size >> bit & 1]
        places = [(bit // 8, start >> 8 * (bit // 8), 1 << bit % 8) for bit, start in heights]
        return Tree(size, [fold(self.hashes(level, first, first + count)) for level, first, count in places])
    def check(self, anchor, first, last):  # those that overlap the leaves first to last, from 0, lead to its root
        need((size := anchor.size) >= first and self.tree(size).root() == anchor.root, "too short, or another root")
        for level in range(8):
            have, up = size >> 8 * level, 8 * level + 8
            for n in range(first >> up, min(min(last, size - 1) >> up, (have - 1) >> 8) + 1):
                hashes = self.hashes(level, 256 * n, min(256 * n + 256, have))
                need(len(hashes) < 256 or fold(hashes) == self.get(level + 1, n), "tile %d of level %d" % (n, level))
        self.size, self.anchor = size, anchor
    def leaf(self, seq): return seq <= self.size and self.get(0, seq - 1) or None
def read_note(raw):  # its text, and its signature lines as (name, key id, signature)
    whole = raw.decode("utf-8")
    need(len(raw) <= LIMIT and not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", whole), "too long, or control characters")
    text, gap, tail = whole.rpartition("\n\n")
    lines = [SIGNATURE.fullmatch(line) for line in tail[:-1].split("\n")]
    need(gap and tail.endswith("\n") and len(lines) <= 16 and all(lines), "cut, or a line that is no signature")
    return text + "\n", [(line[1], unbase64(line[2])[:4], unbase64(line[2])[4:]) for line in lines]
def signatures(note, name, key): return [raw for *by, raw in note[1] if by == [name, sha(key)[:4]]]
@functools.lru_cache(maxsize=None)
def is_good(key, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "key").write_bytes(PEM % base64.encodebytes(key))
        pathlib.Path(folder, "signature").write_bytes(signature)
        done = subprocess.run(OPENSSL, cwd=folder, input=text.encode(), capture_output=True)
    return len(signature) <= 72 and done.returncode == 0 and done.stdout.strip() == b"Verified OK"
def is_signed(note, name, key):
    return bool(found := signatures(note, name, key)) and all(is_good(key, note[0], raw) for raw in found)
class Anchor:
    def __init__(self, epoch, number, *raw):
        self.epoch, self.number, self.raw, self.where = epoch, number, raw, {"epoch": epoch, "anchor": number}
    def read(self, trust):  # takes the notes apart; what contradicts what
        self.notes, store = [read_note(raw) for raw in self.raw], trust["store"]
        self.name = trust["origin"] + ("/epoch-%d" % self.epoch if self.epoch > 1 else "")
        origin, size, root, end = self.notes[0][0].split("\n")
        need(not end and is_digits(size) and self.notes[1][0].count("\n") == 1, "no checkpoint or metadata")
        meta = self.meta = fits(parse(self.notes[1][0][:-1].encode()), META)
        self.size, self.root, self.chain = int(size), unbase64(root, 32), bytes.fromhex(meta["chain"])
        self.made, self.due = moment(meta["made_at"]), moment(meta["next_due"])
        self.next_keys = [public_key(meta["next_key"])] if "next_key" in meta else []
        self.match, folder, account = (None, None), "path" in store, store.get("account") or meta.get("account") or None
        wanted = {"origin": self.name, "epoch": self.epoch, "anchor": self.number, "size": self.size,
                  "root": self.root.hex(), "bucket": store.get("bucket", store.get("path")),
                  "region": store.get("region"), "account": None if folder else account,
                  "development": meta["development"] and (trust["development"] or folder)}
        return ["checkpoint"] * (origin != self.name) + [name for name in wanted if meta.get(name) != wanted[name]]
def anchors_of_bundle(files, report):
    anchors = []
    for line in (line for name in names(files, "anchors/") for line in read_lines((files[name], bytes))):
        with report.finds("note"):
            notes = [(told := fits(parse(line), LINE))[name].encode() for name in ("checkpoint", "meta")]
            a = Anchor(told["epoch"], told["number"], *notes)
            if not anchors or (a.epoch, a.number) > (anchors[-1].epoch, anchors[-1].number): anchors.append(a)
            else: report("anchor", "out of order, or twice", **a.where)
    return anchors
def anchors_of_copy(files, trust, report):
    notes, place = {}, "v1/%s%s/(checkpoint|meta)/(?!0{12})([0-9]{12})" % (re.escape(trust["origin"]), EPOCH)
    for found in filter(None, (re.fullmatch(place, name) for name in sorted(files))):
        notes.setdefault((int(found[1] or 1), int(found[3])), {})[found[2]] = read_file(files[found[0]])
    for epoch, number in (place for place, both in sorted(notes.items()) if "meta" not in both):
        if (epoch, number + 1) not in notes: report("gap", "no metadata", epoch=epoch, anchor=number)
    return [Anchor(*place, both["checkpoint"], both["meta"]) for place, both in sorted(notes.items()) if len(both) == 2]
def check_anchors(anchors, trust, report, from_one):  # those that are good, each with the `keys` in force after it
    wrong, force, before, good = {}, trust["keys"], None, []
    for a in anchors:
        with report.finds("note", **a.where): wrong[a] = a.read(trust)
    keys = {*trust["keys"], *(key for a in wrong for key in a.next_keys)}
    jobs = {(key, n[0], raw) for a in wrong for n in a.notes for key in keys for raw in signatures(n, a.name, key)}
    with multiprocessing.pool.ThreadPool(2 * (os.cpu_count() or 1)) as threads: threads.starmap(is_good, jobs)
    for a in anchors:
        follows, first = before if before and before.epoch == a.epoch else None, from_one and not before
        due = follows.number + 1 if follows else 1 if before or from_one else a.number
        if a.number > due or first and a.epoch > 1: report("gap", "none before it", epoch=a.epoch, anchor=due)
        before, last = a, good[-1] if good and good[-1].epoch == a.epoch else None
        if a not in wrong: continue
        own = [key for key in force if sha(key).hex() == a.meta["signer"]][:1]
        if wrong[a]: report("anchor", ", ".join(wrong[a]), **a.where)
        elif not own or not all(is_signed(note, a.name, key) for note in a.notes for key in own + a.next_keys):
            report("signature", "not by the key in force", **a.where)
        else:
            links = [a.meta.get("prev_checkpoint"), a.meta.get("prev_meta")]
            hashes = [sha(raw).hex() for raw in follows.raw] if follows and a.number == due else links
            if any(links) != (a.number > 1) or links != hashes: report("link", "not of the anchor before", **a.where)
            if last and (a.size < last.size or a.made < last.made): report("backwards", "size or time", **a.where)
            a.keys = force = (own + a.next_keys)[-1:]
            good.append(a)
    return good
def read_value(line):
    try: value = fits(parse(line), VALUE)
    except BAD as error: return str(error)
    return value["seq"], value["name"], sha(b"\3", bytes.fromhex(value["salt"]), value["value"].encode()).hex()
def check_values(lines, report):
    values, before = {}, (0, "")
    for value in lines:
        if type(value) is str: report("private", value)
        elif value[:2] <= before: report("private", "out of order, or twice", record=value[0])
        else: values[value[:2]], before = value[2], value[:2]
    return values
def read_trust(path):
    trust = {"development": False, "breaks": [], **fits(loose(pathlib.Path(path).read_bytes()), TRUST)}
    return {**trust, "keys": [public_key(key["public_key"]) for key in trust["keys"]]}
def files_of(path):  # the files of a folder or of a tar archive: by name (path on disk, offset, length)
    root, entries, files = pathlib.Path(path), list(pathlib.Path(path).rglob("*")), {}
    need(all((e.is_dir() or e.is_file()) and not e.is_symlink() for e in entries), "neither file nor folder")
    if root.is_dir(): return {e.relative_to(root).as_posix(): (e, 0, e.stat().st_size) for e in entries if e.is_file()}
    with tarfile.open(path, "r:") as archive:
        for entry in archive:
            name = re.sub(r"^(\./)+", "", entry.name)
            need(entry.isdir() or entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and name not in files
                 and not name.startswith("/") and ".." not in name, "no file of a bundle: " + name)
            if not entry.isdir(): files[name] = (path, entry.offset_data, entry.size)
        need(len(rest := read_file((path, archive.offset, -1))) >= 1024 and not rest.strip(b"\0"), "the archive is cut")
    return files
def names(files, begin): return sorted(name for name in files if name.startswith(begin) and NAME.fullmatch(name))
def read_file(place):
    with open(place[0], "rb") as file:
        file.seek(place[1])
        return file.read(place[2])
def read_lines(work):
    *lines, rest = read_file(work[0]).split(b"\n")
    return [work[1](line) for line in lines + [rest + b"\n"] * bool(rest)]  # a newline is in no line
def lines_of(files, pool, read, begin):  # what `read` makes of each line of these files, in order, never far ahead
    work = [(files[name], read) for name in names(files, begin)]
    for at in range(0, len(work), 32): yield from (it for out in pool.imap(read_lines, work[at:at + 32]) for it in out)
def climb(here, index, size, path):  # the root that the path leads to
    need(bool(path) == (size > 1), "a path of another length")
    half = 1 << (size - 1).bit_length() - 1 if path else 0
    if index < half: return node(climb(here, index, half, path[:-1]), path[-1])
    return node(path[-1], climb(here, index - half, size - half, path[:-1])) if path else here
def check_proof(args, trust, report):
    need((raw := pathlib.Path(args.proof).read_bytes()).startswith(b"c2sp.org/tlog-proof@v1\n"), "no proof of a record")
    with report.finds("proof"):
        head, gap, note = raw.partition(b"\n\n")
        _, extra, index, *path = head.decode("ascii").split("\n")
        need(gap and extra[:6] == "extra " and index[:6] == "index " and is_digits(index[6:]), "bad lines")
        note, record, index = read_note(note), unbase64(extra[6:]), int(index[6:])
        origin, size, root, end = note[0].split("\n")
        need(not end and is_digits(size) and index < int(size), "no checkpoint of this record")
        need(re.fullmatch(re.escape(trust["origin"]) + EPOCH, origin), "another log")
        need(any(is_signed(note, origin, key) for key in trust["keys"]), "not signed by a trusted key")
        reached = climb(sha(b"\0", record), index, int(size), [unbase64(line, 32) for line in path])
        need(reached == unbase64(root, 32) and parse(record).get("seq") == index + 1, "another root, or another number")
    return {}
class Report(list):
    def __init__(self): self.codes = set()
    def __call__(self, code, detail, **where):
        self.append({"code": code, **where, "detail": str(detail)})
        self.codes.add(code)
    @contextlib.contextmanager
    def finds(self, code, **where):  # what does not hold in this block is a finding
        try: yield
        except BAD as error: self(code, error, **where)
    def first(self, about, default=None): return min((one[about] for one in self if about in one), default=default)
    def verdict(self): return "tampered" if self.codes - INCOMPLETE else "incomplete" if self.codes else "verified"
class Log:  # follows the records: chain, tree, anchors at their sizes, and what records say of each other
    def __init__(self, trust, manifest, good, tiles, values, report):
        self.trust, self.manifest, self.tiles, self.values, self.report = trust, manifest, tiles, values, report
        self.first, self.last, self.head = max(manifest["first"], 1), manifest["last"], manifest["head"]
        self.good, self.waiting, self.next, self.here, self.count, self.base = good, {}, self.first, 0, 0, None
        for a in good: self.waiting.setdefault(a.size, []).append(a)
        self.lost, self.intents, self.epochs, self.absent, self.erased = [(0, 0)], set(), [], [], set()
        self.tree, self.chain = Tree(), sha(b"rack-gateway-audit/v1\n", trust["origin"].encode())
        if self.first > 1:  # without a tree, or a chain, it cannot be followed
            self.base = self.waiting.get(self.first - 1, [None])[-1]
            self.chain = self.base.chain if self.base else report("base", "no good anchor of that size")
            self.tree = tiles.tree(self.first - 1) if tiles.size else None
        self.compare()
    def compare(self):
        for a in self.waiting.get(self.next - 1, ()) if self.tree else ():
            a.match = (self.tree.root() == a.root, self.chain in (None, a.chain))
            self.chain = self.chain or (a.chain if a.match[0] else None)
    def grow(self, leaf, known):  # on to the next record; `leaf` is of the record here, `known` of the tiles
        self.chain = sha(b"\2", self.chain, leaf) if self.chain and leaf and known in (None, leaf) else None
        self.tree, self.next = self.tree if known or leaf else None, self.next + 1
        if self.tree: self.tree.add(known or leaf)
        self.compare()
    def skip(self, to):
        if self.next < to: self.report("missing", "up to %d" % (to - 1), record=self.next)
        if self.next < to: self.lost.append((self.next, to - 1))
        while self.next < to and self.tree: self.grow(None, self.tiles.leaf(self.next))
        self.next = to
    def take(self, leaf, seq, *rest):
        self.count, place, known = self.count + 1, seq or self.next, self.tiles.leaf(seq or self.next)
        if seq is None: self.report(*rest, record=place)
        if not self.next <= place <= self.last: return seq and self.report("number", "out of place", record=seq)
        self.skip(place)
        if known not in (None, leaf): self.report("leaf", "not what was anchored", record=place)
        if seq and known in (None, leaf): self.read(seq, *rest)
        else: self.lost.append((place, place))
        self.here = place
        self.grow(leaf, known)
    def is_lost(self, seq): return seq <= self.lost[bisect.bisect(self.lost, (seq, SAFE)) - 1][1]
    def read(self, seq, ts, told):
        kind, intent, erased, private = (told[name] for name in ("kind", "intent", "erased", "private"))
        report, last, detail = self.report, self.good[-1] if self.good else None, told.get("detail")
        late = last and seq > last.size and ts > last.due and "tail" not in report.codes
        if late: report("tail", "no anchor since %s" % last.meta["made_at"], record=seq)
        begin = told.get("action") == "chain:begin" and type(detail) is dict and detail.get("origin")
        if seq == 1 and begin != self.trust["origin"]: report("begin", "not the begin of this log", record=1)
        elif kind == "intent": self.intents.add(seq)
        elif kind == "outcome":
            known = is_place(intent) and (intent < self.first or self.is_lost(intent) or intent in self.intents)
            if not known: report("outcome", "no open intent %.20s" % (intent,), record=seq)
            elif told["result"] != "unknown": self.intents.discard(intent)
        elif kind == "erasure" and type(erased) is dict:
            lists = ((name, numbers) for name, numbers in erased.items() if type(numbers) is list)
            self.erased.update((number, name) for name, numbers in lists for number in numbers if is_place(number))
        elif kind == "epoch": self.epochs.append((seq, told["epoch"]))
        for name, commitment in private.items() if type(private) is dict else ():
            if (value := self.values.pop((seq, name), None)) is None: self.absent.append((seq, name))
            elif value != commitment: report("private", "not what the record commits to: " + name, record=seq)
    def declarations(self):  # which records declare epochs, and up to which size anchors of an epoch must match
        declared, kept = {}, {}
        for seq, told in self.epochs:
            with self.report.finds("epoch", record=seq):
                number, keeps, lost = fits(told, DECLARATION)["number"], told["kept"], told["lost"]
                below = [a for a in self.good if a.epoch < number]
                if {"epoch": number, "kept": keeps, "lost": lost} not in self.trust["breaks"]:
                    self.report("break", "kept %d of %d" % (keeps, lost), epoch=number)
                last = [(a.number, sha(a.raw[0]).hex(), a.size) for a in below[-1:]]
                fine = number > max([1, *declared]) and keeps < seq and keeps in {0, *(a.size for a in below)}
                declared[number] = seq
                kept.update({a.epoch: min(keeps, kept.get(a.epoch, SAFE)) for a in below})
                need(fine and last == [(told["anchor"], told["checkpoint"], lost)], "it does not fit the anchors")
        return declared, kept
    def finish(self):  # what shows at the end. The last anchor that matches, and up to where records are good
        report, last, tiled, base = self.report, self.last, self.tiles.anchor, self.base.epoch if self.base else 1
        self.skip(last + 1)
        whole, exported = last == self.head["seq"], moment(self.manifest["made_at"])
        if whole and self.chain and self.chain.hex() != self.head["chain"]: report("manifest", "the chain is another")
        for seq, name in (place for place in self.values if not self.is_lost(place[0])):
            report("private", "no record commits to it: " + name, record=seq)
        declared, kept = self.declarations()
        compared = [a for a in self.good if a.size <= kept.get(a.epoch, SAFE) and a.epoch >= base]
        if tiled in compared and tiled.size > self.here and tiled.match[0] is None: tiled.match = (True, True)
        for a in compared:
            for code in (code for code, match in zip(("root", "chain"), a.match) if match is False):
                if code not in report.codes: report(code, "another one at %d" % a.size, **a.where)
            if self.first - 1 <= a.size < self.next and declared.get(a.epoch, SAFE) > a.size and a.epoch > base:
                report("epoch", "no record before it declares the epoch", **a.where)
            if whole and last < a.size and a.made <= exported: report("missing", "up to %d" % a.size, record=last + 1)
        for seq, name in self.absent if self.manifest["private"] and whole else ():
            if (seq, name) not in self.erased: report("unerased", "no value and no erasure of " + name, record=seq)
        matched = [a for a in compared if a.match == (True, True)]
        until = min(max([a.size for a in matched], default=0), self.here, report.first("record", SAFE) - 1)
        return (matched or [None])[-1], until if until >= self.first else 0
def check_files(files, manifest, trust, report):
    listed, first, last = {file["name"]: file for file in manifest["files"]}, manifest["first"], manifest["last"]
    fine = manifest["origin"] == trust["origin"] and 0 < first <= last + 1 <= manifest["head"]["seq"] + 1
    fine = fine and len(listed) == len(manifest["files"]) and (manifest["private"] or not names(files, "private/"))
    if not fine: report("manifest", "origin, range, a file twice, or personal values that it does not tell of")
    for name in sorted({*listed, *files} - {"manifest.json", "manifest.note"}):
        told = listed.get(name) if name in files and NAME.fullmatch(name) else None
        if not told or (told["sha256"], told["bytes"]) != (sha(read_file(files[name])).hex(), files[name][2]):
            report("file", "missing, of no known name, or other than the manifest says: " + name)
def verify(args, trust, report):
    files, tiles, now = files_of(args.bundle), Tiles(), dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    manifest = fits(loose(raw := read_file(files["manifest.json"])), MANIFEST)
    check_files(files, manifest, trust, report)
    copy, first, exported = args.anchors, manifest["first"], moment(manifest["made_at"])
    anchors = anchors_of_copy(files_of(copy), trust, report) if copy else anchors_of_bundle(files, report)
    good = check_anchors(anchors, trust, report, first <= 1)
    if not good: report("unanchored", "no good anchor")
    with report.finds("manifest"):
        if "manifest.note" in files:
            note, then = read_note(read_file(files["manifest.note"])), [a for a in good if a.made <= exported]
            name, force = (then[-1].name, then[-1].keys) if then else (trust["origin"], trust["keys"])
            need(note[0] == "rack-gateway-audit-export/v1\n%s\n" % sha(raw).hex()
                 and any(is_signed(note, name, key) for key in force), "manifest.note is not by the key in force")
    with report.finds("tile"):
        if good: tiles.load(files)
        reached = [a for a in good if not copy or a.size <= tiles.leaves()]
        if reached: tiles.check(reached[-1], max(first, 1) - 1, manifest["last"] - 1)
    with multiprocessing.Pool() as pool:
        values = check_values(lines_of(files, pool, read_value, "private/"), report)
        log = Log(trust, manifest, good, tiles, values, report)
        for record in lines_of(files, pool, read_record, "records/"): log.take(*record)
    if not log.count: report("empty", "no records")
    matched, until = log.finish()
    for made, where in [(a.made, a.where) for a in good[-1:]] + [(exported, {})]:
        if made < now - dt.timedelta(seconds=args.expect_fresh): report("stale", "made at %s" % made, **where)
    for a in (a for a in good if a.made > now + dt.timedelta(minutes=5)): report("future", a.meta["made_at"], **a.where)
    return {"good_until": until, "records": log.count, "anchors": len(anchors), "open_intents": len(log.intents),
            "last_good_anchor": matched and {name: getattr(matched, name) for name in ("epoch", "number", "size")},
            "exported_at": manifest["made_at"]}
def main():
    report, parser = Report(), argparse.ArgumentParser(usage=__doc__)
    options = {"bundle": {"nargs": "?"}, "--proof": {}, "--trust": {"required": True}, "--anchors": {},
               "--expect-fresh": {"type": int, "default": 10**10}, "--json": {"action": "store_true"}}
    for name, more in options.items(): parser.add_argument(name, **more)
    parser.error = lambda message: parser.exit(3, "error: %s\n" % message)
    args = parser.parse_args()
    try:
        need((args.bundle is None) != (args.proof is None), "either a bundle or --proof")
        result = (verify if args.proof is None else check_proof)(args, read_trust(args.trust), report)
    except Exception as error:
        parser.error("the check could not be made: %s: %s" % (type(error).__name__, error))
    result = {"verdict": report.verdict(), **result, "first_bad_record": report.first("record"),
              "first_bad_anchor": report.first("anchor"), "findings": report[:1000]}
    print(json.dumps({name: it for name, it in result.items() if it is not None}, indent=None if args.json else 1))
    return ("verified", "tampered", "incomplete").index(report.verdict())
if __name__ == "__main__": sys.exit(main())
