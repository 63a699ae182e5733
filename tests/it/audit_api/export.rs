//! Bundles: complete, by their manifest; verifiable for any range; whole while the log grows and values are erased.

use std::collections::BTreeMap;
use std::io::Read as _;

use bytes::Bytes;
use futures_util::StreamExt as _;
use rack_gateway::audit::Actor;
use rack_gateway::audit::erase::{Erasure, Whose};
use rack_gateway::audit::export::{Export, ExportFormat, ExportRequest};
use rack_gateway::proof::chain::{genesis, leaf, link};
use rack_gateway::proof::commitment::commit;
use rack_gateway::proof::tile::{TileId, Tiles};
use rack_gateway::store::{AnchorRow, RecordFilter};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Stage;
use crate::harness::Db;

pub const EXPORT: &str = "/api/v1/audit/export";

/// The files of a bundle.
pub struct Bundle {
    pub files: BTreeMap<String, Vec<u8>>,
    pub manifest: Value,
}

impl Bundle {
    /// Reads an archive, which must be what its manifest says and nothing else.
    pub fn read(bytes: &[u8]) -> Self {
        assert!(bytes.ends_with(&[0; 1024]), "an archive ends in two empty blocks");
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(bytes);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert!(files.insert(name.clone(), content).is_none(), "{name} twice");
        }
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let listed = manifest["files"].as_array().unwrap();
        let others = files.keys().filter(|name| !name.starts_with("manifest."));
        assert_eq!(listed.len(), others.count(), "all but the manifest");
        for file in listed {
            let content = &files[file["name"].as_str().unwrap()];
            assert_eq!(file["bytes"], content.len(), "{file}");
            assert_eq!(file["sha256"], hex::encode(Sha256::digest(content)), "{file}");
        }
        Self { files, manifest }
    }

    fn lines(&self, folder: &str) -> Vec<&[u8]> {
        let files = self.files.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
        let lines = files.flat_map(|(_, content)| content.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n'));
        lines.collect()
    }

    pub fn records(&self) -> Vec<&[u8]> {
        self.lines("records")
    }

    pub fn anchors(&self) -> Vec<Value> {
        self.lines("anchors").into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    pub fn private(&self) -> Vec<Value> {
        self.lines("private").into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    fn range(&self) -> (u64, u64) {
        (self.manifest["first"].as_u64().unwrap(), self.manifest["last"].as_u64().unwrap())
    }

    fn tiles(&self) -> Tiles {
        let mut tiles = Tiles::default();
        for (name, content) in self.files.iter().filter(|(name, _)| name.starts_with("tile/")) {
            let id = TileId::parse(name).unwrap();
            assert_eq!(u64::try_from(content.len()).unwrap(), id.width * 32, "{name}");
            tiles.insert(id, content.chunks(32).map(|hash| hash.try_into().unwrap()).collect());
        }
        tiles
    }

    /// Checks everything that follows from the files, as the format says it.
    fn check(&self, base: Option<&AnchorRow>, end: Option<&AnchorRow>) {
        let (first, last) = self.range();
        let records = self.records();
        assert_eq!(u64::try_from(records.len()).unwrap(), last + 1 - first);
        let tiles = self.tiles();
        let (mut chain, mut tree) = match base {
            Some(base) => (base.chain, tiles.frontier(base.size).unwrap()),
            None => (genesis(self.manifest["origin"].as_str().unwrap()), Default::default()),
        };
        assert_eq!(base.map_or(0, |base| base.size), first - 1);
        for (seq, canon) in (first..).zip(&records) {
            let record: Value = serde_json::from_slice(canon).unwrap();
            assert_eq!(record["seq"], seq);
            chain = link(&chain, &leaf(canon));
            tree.push(leaf(canon));
            if let Some(end) = end.filter(|end| end.size == seq) {
                assert_eq!((chain, tree.root()), (end.chain, end.root));
                assert_eq!(tiles.frontier(end.size).unwrap().root(), end.root);
                assert_eq!(self.anchors().last().unwrap()["number"], end.number);
            }
            if end.is_some_and(|end| seq <= end.size) {
                assert_eq!(tiles.hash(0, seq - 1), Some(leaf(canon)), "record {seq}");
            }
        }
        if self.manifest["head"]["seq"] == last {
            assert_eq!(self.manifest["head"]["chain"], hex::encode(chain));
        }
        for value in self.private() {
            let seq = value["seq"].as_u64().unwrap();
            let record: Value = serde_json::from_slice(records[usize::try_from(seq - first).unwrap()]).unwrap();
            let salt: [u8; 16] = hex::decode(value["salt"].as_str().unwrap()).unwrap().try_into().unwrap();
            let commitment = commit(&salt, value["value"].as_str().unwrap());
            assert_eq!(record["private"][value["name"].as_str().unwrap()], hex::encode(commitment), "{value}");
        }
    }
}

impl Stage {
    /// The bundle for a query.
    pub async fn bundle(&self, query: &str) -> Bundle {
        let answer = self.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("content-type"), Some("application/x-tar"));
        Bundle::read(&answer.body)
    }
}

async fn a_bundle_holds_what_proves_its_range(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(20).await;
    // Nothing is anchored: the records alone.
    let bare = stage.bundle("").await;
    bare.check(None, None);
    assert_eq!((bare.anchors().len(), bare.range().0), (0, 1));
    let mut anchors = Vec::new();
    for count in [280, 300, 0, 40] {
        stage.fill(count).await;
        anchors.push(stage.anchor().await);
    }
    let [one, two, three, four] = anchors.as_slice() else { panic!("four anchors") };
    stage.fill(3).await;
    let whole = stage.bundle("").await;
    whole.check(None, Some(four));
    assert_eq!(whole.manifest["last"], whole.manifest["head"]["seq"], "with what is not anchored yet");
    assert_eq!(whole.anchors().len(), 4);
    // The gateway has no key.
    assert!(!whole.files.contains_key("manifest.note") && !whole.files.contains_key("trust.json"));
    assert_eq!(whole.manifest["origin"], "rack-gateway/acme/dev");
    let addresses = whole.private().iter().filter(|value| value["name"] == "src_ip").count();
    assert!(addresses > 600, "{addresses}");

    // (query, base, end, last): as asked for, and on to the next anchor.
    let (a, b, c, d) = (one.size, two.size, three.size, four.size);
    let cases = [
        (format!("first={}&last={}", a + 1, b), Some(one), two, b),
        (format!("first={}&last={}", a + 7, a + 8), Some(one), two, b),
        (format!("last={}", a - 5), None, one, a),
        (format!("first={a}"), None, four, 0),
        (format!("first={}&last={}", c + 1, c + 1), Some(three), four, d),
        (format!("first={}", d + 1), Some(four), four, 0),
    ];
    for (query, base, end, last) in cases {
        let part = stage.bundle(&query).await;
        part.check(base, Some(end));
        if last > 0 {
            assert_eq!(part.range().1, last, "{query}");
        }
        assert_eq!(part.anchors().first().unwrap()["number"], base.map_or(1, |base| base.number), "{query}");
    }
    let none = stage.bundle("first=9007199254740991&private=false").await;
    assert!(none.records().len() < 100, "only what is not anchored yet");
    stage.gateway.stop_and_verify().await;
}

async fn a_bundle_of_a_time(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(30).await;
    stage.anchor().await;
    let record = |seq: u64| format!("/api/v1/audit/records/{seq}");
    let from = stage.json(&record(20), 200).await["record"]["ts"].as_str().unwrap().to_owned();
    let part = stage.bundle(&format!("from={from}&to=2999-01-01")).await;
    part.check(None, stage.gateway.running.gate.store.anchor_last().await.unwrap().as_ref());
    let before = stage.bundle("to=2000-01-01").await;
    assert_eq!(before.records().len(), 0);
    before.check(None, None);
    assert_eq!(before.anchors().len(), 0);
    assert_eq!(before.manifest["last"], 0);
}

async fn personal_values_are_left_out_or_explained(db: Db) {
    let stage = Stage::new(&db).await;
    stage.fill(10).await;
    let seq = stage.add(super::event("app:update", 99)).await;
    let covered = stage.anchor().await;
    assert_eq!(stage.bundle("private=false").await.private().len(), 0);
    let gate = &stage.gateway.running.gate;
    // It is settled what is exported; then a value of it is erased, and the log goes on.
    let request = ExportRequest { filter: RecordFilter::default(), format: ExportFormat::Bundle, private: true };
    let export = Export::prepare(&gate.keeper, request, gate.clock.now()).await.unwrap();
    let (_, planned) = export.range();
    let erasure = Erasure::new(Whose::Record(seq), None, "asked for it", "the security team").unwrap();
    let actor = Actor { kind: "Operator".to_owned(), id: "test".to_owned() };
    erasure.run(&gate.keeper, &gate.audit, &actor).await.unwrap();
    stage.fill(5).await;
    let chunks: Vec<Bytes> = export.stream().map(Result::unwrap).collect().await;
    let late = Bundle::read(&chunks.concat());
    late.check(None, Some(&covered));
    assert!(!late.private().iter().any(|value| value["seq"] == seq), "it is erased");
    assert!(late.private().iter().any(|value| value["seq"] == seq - 1));
    // The record that explains what is missing comes along, though it is later than what was settled.
    let records = late.records();
    let last: Value = serde_json::from_slice(records.last().unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["erased"]), (&json!("erasure"), &json!({ "src_ip": [seq] })));
    assert!(late.range().1 > planned);
    // A range that ends earlier stays what was asked for.
    let part = stage.bundle(&format!("last={}", covered.size)).await;
    assert_eq!(part.range().1, covered.size);
    assert!(!part.private().iter().any(|value| value["seq"] == seq));
    stage.gateway.stop_and_verify().await;
}

async fn what_a_bundle_cannot_be_is_refused(db: Db) {
    let stage = Stage::new(&db).await;
    for query in [
        "format=zip",
        "private=yes",
        "first=0",
        "first=2&last=1",
        "actor=u-1",
        "q=a",
        "format=bundle&kind=denial",
        "from=now",
        "format=csv&q=...",
        "limit=1",
        "cursor=x",
    ] {
        let answer = stage.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}: {}", String::from_utf8_lossy(&answer.body));
    }
    let answer = stage.get(&format!("{EXPORT}?first=1&last=2")).await;
    let id = answer.header("rack-gateway-request-id").unwrap();
    let records = stage.gateway.records_until(id, 3).await;
    let asked = json!({ "first": "1", "last": "2", "format": "bundle", "private": "true", "range": "1-2" });
    assert_eq!((&records[1]["kind"], &records[1]["detail"]), (&json!("admin"), &asked));
    assert_eq!((&records[2]["result"], &records[2]["bytes_out"]), (&json!("completed"), &json!(answer.body.len())));
    let named = answer.header("content-disposition").unwrap();
    assert_eq!(named, "attachment; filename=\"audit-1-2.tar\"");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

mod both {
    crate::on_both!(
        a_bundle_holds_what_proves_its_range,
        a_bundle_of_a_time,
        personal_values_are_left_out_or_explained,
        what_a_bundle_cannot_be_is_refused,
    );
}
