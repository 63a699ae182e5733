//! Proofs of single records.

use rack_gateway::proof::bundle::{Bundle, BundleError};
use rack_gateway::proof::record_proof::{ProofFault, RecordProof};
use rack_gateway_tests::evidence::{Key, Plan, honest};

use super::{log, plan};

#[test]
fn every_record_of_a_log_is_proved() {
    for records in [1, 2, 65, 300] {
        let log = honest(&Plan { records, ..plan() });
        let folder = tempfile::tempdir().expect("a folder");
        log.bundle().write_folder(folder.path()).expect("the files");
        for seq in (1..=records).step_by(if records > 100 { 37 } else { 1 }) {
            let proof = Bundle::open(folder.path(), None).expect("an export").prove(seq).expect("a proof");
            let again = RecordProof::parse(proof.encode().as_bytes()).expect("a proof");
            assert_eq!(again, proof);
            let proven = again.check(&log.trust()).expect("a good proof");
            assert_eq!((proven.seq, proven.checkpoint.size), (seq, records));
        }
        let absent = Bundle::open(folder.path(), None).expect("an export").prove(records + 1).expect_err("no record");
        assert!(matches!(absent, BundleError::Absent(_)), "{absent}");
    }
}

#[test]
fn what_a_proof_does_not_show() {
    let log = log();
    let folder = tempfile::tempdir().expect("a folder");
    log.bundle().write_folder(folder.path()).expect("the files");
    let good = Bundle::open(folder.path(), None).expect("an export").prove(17).expect("a proof");
    let fault = |proof: &RecordProof| proof.check(&log.trust()).expect_err("no proof").to_string();
    let record = |from: &str, to: &str| {
        let text = String::from_utf8(good.record.clone()).expect("UTF-8").replace(from, to);
        RecordProof { record: text.into_bytes(), ..good.clone() }
    };
    let cases = [
        (record("\"one\"", "\"two\""), ProofFault::Path.to_string()),
        (record("\"seq\":17", "\"seq\":18"), ProofFault::Number.to_string()),
        (
            record("\"v\":1", "\"v\":2"),
            "what it holds is no record: a version that this program does not know".to_owned(),
        ),
        (record("{", "{ "), "what it holds is no record: not canonical JSON at byte 1".to_owned()),
        (RecordProof { path: good.path[1..].to_vec(), ..good.clone() }, ProofFault::Path.to_string()),
        (RecordProof { checkpoint: "x\n".to_owned(), ..good.clone() }, ProofFault::Checkpoint.to_string()),
        (
            RecordProof { checkpoint: good.checkpoint.replacen("65\n", "66\n", 1), ..good.clone() },
            ProofFault::Signature.to_string(),
        ),
        (
            RecordProof { checkpoint: good.checkpoint.replacen("prod", "prod2", 1), ..good.clone() },
            ProofFault::Origin("rack-gateway/acme/prod2".to_owned()).to_string(),
        ),
    ];
    for (proof, expected) in cases {
        assert_eq!(fault(&proof), expected);
    }
    let mut stranger = log.clone();
    stranger.first_key = Key::generate();
    assert!(matches!(good.check(&stranger.trust()), Err(ProofFault::Signature)));
}
