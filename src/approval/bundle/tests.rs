//! Tarballs as the convox command makes them, and as nobody should believe them.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::header::BLOCK;
use super::unpack;
use super::{BundleError, Found, ImageProblem, Limits, Manifest, Rules, check, interpolate, open, wanted};

const MANIFEST: &[u8] = b"services:\n  web:\n    image: registry.acme.example/shop:abc\n";

/// A header block of the form that Go writes.
fn block(kind: u8, name: &[u8], link: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    summed(block)
}

fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut entry = block(kind, name.as_bytes(), b"", content.len() as u64);
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(BLOCK), 0);
    entry
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(b'0', name, content)
}

fn link(kind: u8, name: &str, target: &str) -> Vec<u8> {
    block(kind, name.as_bytes(), target.as_bytes(), 0)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    entry(b'x', "PaxHeaders.0/x", &lines(records))
}

fn lines(records: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (key, value) in records {
        let bare = key.len() + value.len() + 3;
        let length = (bare + 1..).find(|length| bare + length.to_string().len() == *length).unwrap();
        all.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    all
}

/// Entries with their end.
fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = entries.concat();
    all.resize(all.len() + 2 * BLOCK, 0);
    all
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(packed: &[u8]) -> Result<Found, BundleError> {
    unpack::read(packed, b"convox.yml", Limits::default())
}

fn packed(entries: &[Vec<u8>]) -> Result<Found, BundleError> {
    read(&gzip(&tar(entries)))
}

#[test]
fn finds_the_manifest_wherever_the_command_puts_it() {
    let long = "d/".repeat(60) + "file";
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("alone", vec![file("convox.yml", MANIFEST)]),
        (
            "in the order of docker's archive",
            vec![file("Dockerfile", b"FROM scratch\n"), file("convox.yml", MANIFEST), entry(b'5', "web/", b"")],
        ),
        ("with a dot", vec![entry(b'5', "./", b""), file("./convox.yml", MANIFEST)]),
        (
            "beside a long name",
            vec![pax(&[("path", &long), ("mtime", "1.5")]), file("x", b"1"), file("convox.yml", MANIFEST)],
        ),
        ("by a pax name", vec![pax(&[("path", "convox.yml")]), file("other", MANIFEST)]),
        ("with a link inside", vec![link(b'2', "a/b", "../convox.yml"), file("convox.yml", MANIFEST)]),
        (
            "after the comment of git",
            vec![entry(b'g', "pax_global_header", &lines(&[("comment", "abc")])), file("convox.yml", MANIFEST)],
        ),
        ("another one in a folder", vec![file("web/convox.yml", b"x"), file("convox.yml", MANIFEST)]),
    ];
    for (name, entries) in cases {
        let bytes = gzip(&tar(entries));
        let found = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.manifest, MANIFEST, "{name}");
        assert_eq!(found.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)), "{name}");
        assert_eq!(found.bytes, bytes.len() as u64, "{name}");
    }
}

fn form(result: Result<Found, BundleError>) -> bool {
    matches!(result, Err(BundleError::Form(_)))
}

#[test]
fn refuses_names_that_can_be_taken_for_others() {
    let manifest = || file("convox.yml", MANIFEST);
    let cases: &[(&str, Vec<Vec<u8>>, BundleError)] = &[
        ("twice", vec![manifest(), manifest()], BundleError::Twice),
        ("twice with a dot", vec![manifest(), file("./convox.yml", b"x")], BundleError::Twice),
        ("twice with a slash", vec![manifest(), file(".//convox.yml", b"x")], BundleError::Twice),
        ("any file twice", vec![manifest(), file("a", b"1"), file("a", b"2")], BundleError::Twice),
        ("a folder of that name", vec![manifest(), entry(b'5', "convox.yml", b"")], BundleError::Twice),
        ("beneath a link", vec![link(b'2', "a", "."), file("a/convox.yml", b"x"), manifest()], BundleError::Twice),
        ("a link over a folder", vec![file("a/b", b"x"), link(b'2', "a", "."), manifest()], BundleError::Twice),
        (
            "written through a hard link",
            vec![manifest(), link(b'1', "a", "convox.yml"), file("a", b"x")],
            BundleError::Twice,
        ),
        ("absolute", vec![file("/convox.yml", MANIFEST)], BundleError::Name),
        ("climbing", vec![file("../convox.yml", MANIFEST)], BundleError::Name),
        ("climbing back", vec![manifest(), file("a/../convox.yml", b"x")], BundleError::Name),
        ("a file with a slash", vec![manifest(), file("a/", b"x")], BundleError::Name),
        ("a file without a name", vec![manifest(), file("", b"x")], BundleError::Name),
        ("an absolute link", vec![manifest(), link(b'2', "a", "/etc/passwd")], BundleError::Link),
        ("a climbing link", vec![manifest(), link(b'2', "a/b", "../../x")], BundleError::Link),
        ("a climbing hard link", vec![manifest(), link(b'1', "a/b", "../x")], BundleError::Link),
        ("an empty link", vec![manifest(), link(b'2', "a", "")], BundleError::Link),
        ("only in a folder", vec![file("web/convox.yml", MANIFEST)], BundleError::Missing),
        ("in capitals", vec![file("Convox.yml", MANIFEST)], BundleError::Missing),
        ("nothing at all", vec![], BundleError::Missing),
    ];
    for (name, entries, expected) in cases {
        assert_eq!(packed(entries).as_ref(), Err(expected), "{name}");
    }
}

#[test]
fn refuses_forms_that_are_read_in_two_ways() {
    let manifest = || file("convox.yml", MANIFEST);
    let changed = |at: usize, bytes: &[u8]| {
        let mut entry = manifest();
        entry[at..at + bytes.len()].copy_from_slice(bytes);
        let head = summed(entry[..BLOCK].to_vec());
        entry[..BLOCK].copy_from_slice(&head);
        entry
    };
    let mut wrong_sum = manifest();
    wrong_sum[0] = b'C';
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("old form", vec![changed(257, &[0; 8])]),
        ("GNU form", vec![changed(257, b"ustar  \0")]),
        ("star form", vec![changed(508, b"tar\0")]),
        ("a number in base 256", vec![changed(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 58])]),
        ("a number with a blank before it", vec![changed(124, b"        072\0")]),
        ("something behind the name", vec![changed(11, b"evil")]),
        ("wrong sum", vec![wrong_sum]),
        ("the manifest is a link", vec![link(b'2', "convox.yml", "evil.yml"), file("evil.yml", MANIFEST)]),
        ("the manifest is a hard link", vec![file("evil.yml", MANIFEST), link(b'1', "convox.yml", "evil.yml")]),
        ("the manifest is a folder", vec![entry(b'5', "convox.yml/", b"")]),
        ("a link with content", vec![manifest(), entry(b'2', "a", b"x")]),
        ("a folder with content", vec![manifest(), entry(b'5', "a", b"x")]),
        ("a sparse file", vec![entry(b'S', "convox.yml", MANIFEST)]),
        ("a sparse file by records", vec![pax(&[("GNU.sparse.name", "convox.yml")]), file("x", MANIFEST)]),
        ("a GNU long name", vec![entry(b'L', "././@LongLink", b"convox.yml\0"), file("x", MANIFEST)]),
        ("a device", vec![manifest(), entry(b'3', "a", b"")]),
        ("a size by records", vec![pax(&[("size", "5")]), manifest()]),
        ("a name by records twice", vec![pax(&[("path", "a"), ("path", "convox.yml")]), file("x", MANIFEST)]),
        ("an empty name by records", vec![pax(&[("path", "")]), manifest()]),
        ("records after records", vec![pax(&[("path", "a")]), pax(&[("path", "b")]), manifest()]),
        (
            "records for all that follows",
            vec![entry(b'g', "g", &lines(&[("path", "convox.yml")])), file("x", MANIFEST)],
        ),
        ("records with a wrong length", vec![entry(b'x', "x", b"99 path=convox.yml\n"), file("x", MANIFEST)]),
        ("records with a zero before it", vec![entry(b'x', "x", b"019 path=convox.yml\n"), file("x", MANIFEST)]),
        ("records at the end", vec![manifest(), pax(&[("path", "a")])]),
    ];
    for (name, entries) in cases {
        let result = packed(entries);
        assert!(form(result.clone()), "{name}: {result:?}");
    }
}

#[test]
fn refuses_what_follows_and_what_is_cut() {
    let whole = tar(&[file("convox.yml", MANIFEST)]);
    let other = tar(&[file("convox.yml", b"services:\n  web:\n    image: evil\n")]);
    let good = gzip(&whole);
    assert!(form(read(&[good.clone(), gzip(&other)].concat())), "a second gzip stream");
    assert!(form(read(&[good.as_slice(), b"x"].concat())), "a byte after it");
    assert!(form(read(&gzip(&[whole.as_slice(), &other].concat()))), "a second tarball");
    let single = [file("convox.yml", MANIFEST), vec![0; BLOCK], other].concat();
    assert!(form(read(&gzip(&single))), "entries after one empty block");
    assert_eq!(read(&gzip(&file("convox.yml", MANIFEST))), Err(BundleError::Broken), "no end");
    assert_eq!(read(&good[..good.len() - 9]), Err(BundleError::Broken), "cut");
    let mut damaged = good.clone();
    let last = damaged.len() - 5;
    damaged[last] ^= 1;
    assert!(form(read(&damaged)), "wrong checksum");
    assert!(form(read(&whole)), "no gzip");
    assert!(read(b"").is_err(), "nothing");
    let zeros = [whole.as_slice(), &[0; 5 * BLOCK]].concat();
    assert!(read(&gzip(&zeros)).is_ok(), "padding is the end of a tarball");
}

#[test]
fn holds_every_limit() {
    let limits = Limits { packed: 64 << 10, unpacked: 1 << 20, entries: 5, manifest: 100 };
    let read = |bytes: &[u8]| unpack::read(bytes, b"convox.yml", limits);
    let manifest = || file("convox.yml", MANIFEST);
    let bomb = gzip(&tar(&[manifest(), file("bomb", &vec![0; 2 << 20])]));
    assert!(bomb.len() < 64 << 10, "the bomb is small");
    assert_eq!(read(&bomb), Err(BundleError::Unpacked(1 << 20)));
    let tail = [tar(&[manifest()]), vec![0; 2 << 20]].concat();
    assert_eq!(read(&gzip(&tail)), Err(BundleError::Unpacked(1 << 20)), "a bomb of padding");
    let noise: Vec<u8> =
        (0..200_000_u32).flat_map(|n| Sha256::digest(n.to_le_bytes()).to_vec()).take(100 << 10).collect();
    assert_eq!(read(&gzip(&tar(&[manifest(), file("noise", &noise)]))), Err(BundleError::Packed(64 << 10)));
    let many: Vec<_> = (0..6).map(|n| file(&format!("f{n}"), b"")).collect();
    assert_eq!(read(&gzip(&tar(&many))), Err(BundleError::Entries(5)));
    assert_eq!(read(&gzip(&tar(&[file("a/b/c/d/e/f", b"")]))), Err(BundleError::Entries(5)), "folders count");
    assert_eq!(read(&gzip(&tar(&[file("convox.yml", &[b'#'; 101])]))), Err(BundleError::Manifest(100)));
    let promised = block(b'0', b"convox.yml", b"", 0o7_777_777_777);
    assert_eq!(read(&gzip(&promised)), Err(BundleError::Manifest(100)), "what is promised counts");
    let promised = block(b'0', b"other", b"", 0o7_777_777_777);
    assert_eq!(read(&gzip(&promised)), Err(BundleError::Unpacked(1 << 20)));
}

#[test]
fn manifest_parameters() {
    let cases: &[(&str, Option<&str>)] = &[
        ("", Some("convox.yml")),
        ("convox.yml", Some("convox.yml")),
        ("./convox.yml", Some("convox.yml")),
        ("deploy//prod.yml", Some("deploy/prod.yml")),
        ("../convox.yml", None),
        ("a/../convox.yml", None),
        ("/convox.yml", None),
        ("convox.yml/", None),
        (".", None),
    ];
    for (parameter, expected) in cases {
        assert_eq!(wanted(parameter).as_deref(), expected.map(str::as_bytes), "{parameter}");
    }
}

#[tokio::test]
async fn reads_what_is_fed() {
    let bytes = gzip(&tar(&[file("convox.yml", MANIFEST), file("more", &[7; 300_000])]));
    let (feed, reading) = open(b"convox.yml".to_vec(), Limits::default());
    for chunk in bytes.chunks(7) {
        assert!(feed.send(Bytes::copy_from_slice(chunk)).await);
    }
    feed.end().await;
    assert_eq!(reading.outcome().await.unwrap().sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));

    let (feed, reading) = open(b"convox.yml".to_vec(), Limits::default());
    assert!(feed.send(Bytes::from(bytes)).await);
    drop(feed);
    assert_eq!(reading.outcome().await, Err(BundleError::Broken), "whole, and yet it broke off");
}

fn runs(text: &str) -> Vec<(String, Option<String>)> {
    let manifest = Manifest::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    manifest.runs.into_iter().map(|runs| (runs.name, runs.image)).collect()
}

#[test]
fn finds_every_image() {
    let text = "environment:\n  - A=1\nservices:\n  web:\n    image: a:1\n    port: 3000\n    initContainer:\n      \
                image: b\n  worker:\n    build: .\n  bare:\n  box:\n    sidecars:\n      - name: x\n        image: c\n\
                timers:\n  daily:\n    schedule: 1 1 * * *\n    command: test ! -f x\n    service: web\n\
                resources:\n  db:\n    type: postgres\n    image: d\n";
    let mut found = runs(text);
    found.sort();
    let some = |name: &str, image: &str| (name.to_owned(), Some(image.to_owned()));
    let none = |name: &str| (name.to_owned(), None);
    let expected = vec![
        none("bare"),
        none("box"),
        some("box", "c"),
        some("db", "d"),
        some("web", "a:1"),
        some("web", "b"),
        none("worker"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn refuses_manifests_that_are_read_in_two_ways() {
    let cases: &[(&str, &[u8])] = &[
        ("anchor", b"a: &x 1\nservices: {}\n"),
        ("alias", b"a: &x {image: a}\nservices:\n  web: *x\n"),
        ("merge", b"services:\n  web:\n    <<: {image: b}\n    image: a\n"),
        ("image twice", b"services:\n  web:\n    image: a\n    image: b\n"),
        ("service twice", b"services:\n  web:\n    image: a\n  web:\n    image: b\n"),
        ("services twice", b"services:\n  web:\n    image: a\nservices:\n  web:\n    image: b\n"),
        ("binary", b"services:\n  web:\n    image: !!binary ZXZpbA==\n"),
        ("tag on a name", b"services:\n  web:\n    !!str image: a\n"),
        ("tag in flow", b"services: {web: {image: !x a}}\n"),
        ("tag on its own line", b"services:\n  web:\n    image:\n      !!binary ZXZpbA==\n"),
        ("two documents", b"services:\n  web:\n    image: a\n---\nservices:\n  web:\n    image: b\n"),
        ("end of document", b"services:\n  web:\n    image: a\n...\nservices: {}\n"),
        ("directive", b"%YAML 1.1\n---\nservices: {}\n"),
        ("byte order mark", b"\xef\xbb\xbfservices: {}\n"),
        ("UTF-16", b"s\0e\0r\0"),
        ("lone carriage return", b"services: {}\r# a\n"),
        ("next line of YAML 1.1", "services: {}\u{85}\n".as_bytes()),
        ("line separator of YAML 1.1", "a: b\u{2028}services: {}\n".as_bytes()),
        ("tab", b"services:\n\tweb:\n    image: a\n"),
        ("image is a list", b"services:\n  web:\n    image: [a]\n"),
        ("image is a number", b"services:\n  web:\n    image: 1.0\n"),
        ("image and build", b"services:\n  web:\n    image: a\n    build: .\n"),
        ("services is a list", b"services:\n  - web\n"),
        ("service is text", b"services:\n  web: a\n"),
        ("a list", b"- a\n"),
        ("nothing", b""),
        ("no YAML", b"services: [\n"),
    ];
    for (name, text) in cases {
        assert!(Manifest::parse(text).is_err(), "{name}");
    }
    let deep = "a: ".to_owned() + &"[".repeat(100) + &"]".repeat(100);
    assert!(Manifest::parse(deep.as_bytes()).is_err(), "depth");
}

#[test]
fn image_rules() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let own = format!("acme/shop:{commit}");
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Result<(), ImageProblem>);
    let cases: &[Case<'_>] = &[
        (&[], "anything", Ok(())),
        (&[("web", "acme/shop:.*")], "acme/shop:1", Ok(())),
        (&[("*", "acme/shop:.*")], "acme/shop:1", Ok(())),
        (&[("*", "acme/.*"), ("web", "acme/web")], "acme/shop", Err(ImageProblem::Other("web".to_owned()))),
        (&[("worker", ".*")], "acme/shop", Err(ImageProblem::Uncovered("web".to_owned()))),
        (&[("web", "acme/shop")], "evil.example/acme/shop", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", "acme/shop")], "acme/shop-evil", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", "acme|evil")], "evilx", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", "acme)|(.*")], "evil", Err(ImageProblem::Rule("web".to_owned()))),
        (&[("web", "(?x)acme #")], "acme", Err(ImageProblem::Rule("web".to_owned()))),
        (&[("web", "acme"), ("other", "(")], "acme", Err(ImageProblem::Rule("other".to_owned()))),
        (&[("web", "acme/shop:{{GIT_COMMIT}}")], &own, Ok(())),
        (&[("web", "acme/shop:{{GIT_COMMIT}}")], "acme/shop:1", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", ".*")], "acme/${NAME}", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", "[^/]*")], "a\\nRUN evil", Err(ImageProblem::Other("web".to_owned()))),
        (&[("web", ".*")], "a AS b", Err(ImageProblem::Other("web".to_owned()))),
    ];
    for (rules, image, expected) in cases {
        let rules: Rules = rules.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
        let manifest = Manifest::parse(format!("services:\n  web:\n    image: \"{image}\"\n").as_bytes()).unwrap();
        assert_eq!(check(&manifest, &rules, commit), *expected, "{rules:?} {image}");
    }
    let rules: Rules = [("*".to_owned(), "a:{{GIT_COMMIT}}".to_owned())].into();
    let manifest = Manifest::parse(b"services:\n  web:\n    image: \"a:\"\n").unwrap();
    assert_eq!(check(&manifest, &rules, ""), Err(ImageProblem::Commit("web".to_owned())));
    let built = Manifest::parse(b"services:\n  web:\n    build: .\n").unwrap();
    assert_eq!(check(&built, &rules, commit), Err(ImageProblem::Built("web".to_owned())));
    let timer = Manifest::parse(b"timers:\n  daily:\n    image: evil\n").unwrap();
    assert_eq!(check(&timer, &rules, commit), Err(ImageProblem::Other("daily".to_owned())));
}

#[test]
fn variables_are_put_in_as_the_rack_does() {
    let environment: BTreeMap<_, _> = [("A".to_owned(), "1\n  evil:\n    image: x".to_owned())].into();
    let text = b"services:\n  web:\n    port: ${A}\n    x: ${NONE}$A${}\n    image: a\n";
    let out = String::from_utf8(interpolate(text, &environment)).unwrap();
    assert_eq!(out, "services:\n  web:\n    port: 1\n  evil:\n    image: x\n    x: $A\n    image: a\n");
}

proptest! {
    /// Whatever comes, it is read to an end, and a manifest is only ever found where Rust's other reader of
    /// tarballs finds the same and nothing else of that name.
    #[test]
    fn agrees_with_another_reader(
        names in prop::collection::vec(prop::sample::select(vec![
            "convox.yml", "./convox.yml", "a", "a/b", "a/convox.yml", "b/", "convox.yml/x", "../convox.yml",
        ]), 0..5),
        kinds in prop::collection::vec(prop::sample::select(vec![b'0', b'5', b'2', b'1', b'7', 0]), 5),
        flips in prop::collection::vec((0usize..4096, any::<u8>()), 0..3),
    ) {
        let entries: Vec<_> = names.iter().zip(kinds).enumerate()
            .map(|(at, (name, kind))| match kind {
                b'0' | b'7' | 0 => entry(kind, name, format!("content {at}").as_bytes()),
                b'5' => entry(kind, name, b""),
                kind => link(kind, name, "a"),
            })
            .collect();
        let mut whole = tar(&entries);
        for (at, byte) in flips {
            let at = at % whole.len();
            whole[at] = byte;
        }
        if let Ok(found) = read(&gzip(&whole)) {
            let mut archive = tar::Archive::new(whole.as_slice());
            let mut others = Vec::new();
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                if wanted(&path).as_deref() == Some(b"convox.yml") {
                    prop_assert!(entry.header().entry_type().is_file());
                    let mut content = Vec::new();
                    std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
                    others.push(content);
                }
            }
            prop_assert_eq!(others, vec![found.manifest]);
        }
    }

    #[test]
    fn never_stumbles(bytes in prop::collection::vec(any::<u8>(), 0..3000), whole in any::<bool>()) {
        let bytes = if whole { gzip(&bytes) } else { bytes };
        prop_assert!(read(&bytes).is_err());
        let _manifest = Manifest::parse(&bytes);
    }
}
