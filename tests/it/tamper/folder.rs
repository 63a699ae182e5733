//! What somebody could do to the folder that stands in for a bucket. Object Lock keeps most of it from
//! happening in a real one.

use std::fs;
use std::path::{Path, PathBuf};

use rack_gateway::audit::anchor::Signer;
use rack_gateway::proof::anchor::Meta;
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tree::Frontier;
use rack_gateway::store::{AnchorRow, Store};

use super::scene::{ORIGIN, object};
use crate::harness::db::Db;

/// The folder of a case.
pub struct Folder<'a>(pub &'a Path);

impl Folder<'_> {
    pub fn path(&self, kind: &str, number: u64) -> PathBuf {
        object(self.0, kind, number)
    }

    /// Removes both notes of an anchor.
    pub fn remove(&self, number: u64) {
        for kind in ["checkpoint", "meta"] {
            fs::remove_file(self.path(kind, number)).expect("removed");
        }
    }

    pub fn read(&self, kind: &str, number: u64) -> Vec<u8> {
        fs::read(self.path(kind, number)).expect("a note")
    }

    pub fn write(&self, kind: &str, number: u64, bytes: &[u8]) {
        fs::write(self.path(kind, number), bytes).expect("written");
    }

    pub fn edit(&self, kind: &str, number: u64, from: &str, to: &str) {
        let text = String::from_utf8(self.read(kind, number)).expect("text");
        assert!(text.contains(from), "{text}");
        self.write(kind, number, text.replacen(from, to, 1).as_bytes());
    }

    fn meta(&self, number: u64) -> Option<Meta> {
        let bytes = fs::read(self.path("meta", number)).ok()?;
        Meta::parse(&Note::parse(&bytes).expect("a note").text)
    }

    /// Makes anchors `from` and later again, over the records as the database holds them now: what `change` makes
    /// of their metadata, signed by `signer`, whose name anchors bear. The copies in the database too.
    pub async fn sign_again(&self, db: &Db, from: u64, signer: &Signer, change: impl Fn(&mut Meta)) {
        let store = db.store().await;
        let records = store.records_after(0, 1_000_000).await.expect("the records");
        let (mut tree, mut link) = (Frontier::default(), chain::genesis(ORIGIN));
        let mut states: Vec<(Hash, Hash)> = vec![(tree.root(), link)];
        for record in &records {
            let leaf = chain::leaf(&record.canon);
            tree.push(leaf);
            link = chain::link(&link, &leaf);
            states.push((tree.root(), link));
        }
        for number in from.. {
            let Some(mut meta) = self.meta(number) else { break };
            let size = usize::try_from(meta.size).expect("a size");
            if let Some(state) = states.get(size) {
                (meta.root, meta.chain) = *state;
            }
            meta.signer = *signer.public().fingerprint();
            if number > 1 {
                meta.prev_checkpoint = Some(Note::digest(&self.read("checkpoint", number - 1)));
                meta.prev_meta = Some(Note::digest(&self.read("meta", number - 1)));
            }
            change(&mut meta);
            self.put(db, &store, &meta, signer).await;
        }
        store.close().await;
    }

    /// One more anchor like the last one, signed by `signer`.
    pub async fn add(&self, db: &Db, signer: &Signer) {
        let store = db.store().await;
        let number = (1..).find(|number| self.meta(*number).is_none()).expect("an end");
        let mut meta = self.meta(number - 1).expect("the last anchor");
        meta.anchor = number;
        meta.signer = *signer.public().fingerprint();
        meta.prev_checkpoint = Some(Note::digest(&self.read("checkpoint", number - 1)));
        meta.prev_meta = Some(Note::digest(&self.read("meta", number - 1)));
        self.put(db, &store, &meta, signer).await;
        store.close().await;
    }

    async fn put(&self, db: &Db, store: &Store, meta: &Meta, signer: &Signer) {
        let texts = [("meta", meta.text()), ("checkpoint", meta.checkpoint().text())];
        for (kind, text) in texts {
            let signature = signer.sign(text.as_bytes()).await.expect("signed");
            let mut note = Note { text, signatures: Vec::new() };
            note.sign(ORIGIN, signer.public(), signature);
            self.write(kind, meta.anchor, note.encode().as_bytes());
        }
        let row = AnchorRow {
            epoch: meta.epoch,
            number: meta.anchor,
            size: meta.size,
            root: meta.root,
            chain: meta.chain,
            checkpoint: self.read("checkpoint", meta.anchor),
            meta: self.read("meta", meta.anchor),
            made_at: meta.made_at.clone(),
            next_due: meta.next_due.clone(),
            development: meta.development,
        };
        db.execute(&format!("DELETE FROM audit_anchors WHERE number = {}", meta.anchor)).await;
        store.anchor_add(&row).await.expect("noted");
    }
}

/// Copies a folder with all that is in it.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}
