//! An emulator of S3 with Object Lock and of KMS: one for the whole test binary, on a free port of
//! the loopback address, a bucket and keys of its own for each test. `.ci/install` brings it. It ends
//! with the binary, however that ends: a small shell holds the other end of a pipe.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled,
    ObjectLockRetentionMode, ObjectLockRule,
};
use rack_gateway::audit::anchor::Aws;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::until;
use crate::tidy::root;

pub const REGION: &str = "eu-central-1";
const CREDENTIALS: (&str, &str) = ("made-up-id", "made-up-secret");

pub struct Emulator {
    pub port: u16,
    _leash: ChildStdin,
}

/// The emulator of this test binary.
pub async fn shared() -> &'static Emulator {
    static SHARED: OnceCell<Emulator> = OnceCell::const_new();
    SHARED.get_or_init(Emulator::start).await
}

impl Emulator {
    async fn start() -> Self {
        let program = root().join("tests/emulator/venv/bin/hypercorn");
        assert!(program.exists(), "{} is missing: run .ci/install", program.display());
        // Free now; whoever is quicker makes the wait below fail.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let leash = leash(program, port);
        until("the emulator answers", || async { TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
        Self { port, _leash: leash }
    }

    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(url(self.port))
            .credentials_provider(Credentials::new(CREDENTIALS.0, CREDENTIALS.1, None, None, "test"))
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub fn kms(&self) -> aws_sdk_kms::Client {
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(url(self.port))
            .credentials_provider(Credentials::new(CREDENTIALS.0, CREDENTIALS.1, None, None, "test"));
        aws_sdk_kms::Client::from_conf(config.build())
    }

    /// The way to it, or to a proxy in front of it.
    pub fn aws(port: u16) -> Aws {
        Aws::endpoint(&url(port), REGION, CREDENTIALS, Duration::from_secs(5))
    }

    /// The same for the real binary.
    pub fn environment(port: u16) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", url(port)),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", CREDENTIALS.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.1.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// A bucket of its own, with Object Lock or without.
    pub async fn bucket(&self, locked: bool) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("anchors-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let place = BucketLocationConstraint::from(REGION);
        let place = CreateBucketConfiguration::builder().location_constraint(place).build();
        let create = self.s3().create_bucket().bucket(&name).create_bucket_configuration(place);
        create.object_lock_enabled_for_bucket(locked).send().await.expect("make a bucket");
        name
    }

    /// Gives a bucket the lock that objects get by default.
    pub async fn lock_by_default(&self, bucket: &str, days: i32) {
        let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(days).build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(retention).build());
        let put = self.s3().put_object_lock_configuration().bucket(bucket).object_lock_configuration(lock.build());
        put.send().await.expect("lock by default");
    }

    /// A key of its own that signs; its ARN.
    pub async fn key(&self, spec: aws_sdk_kms::types::KeySpec) -> String {
        let create = self.kms().create_key().key_spec(spec);
        let made = create.key_usage(aws_sdk_kms::types::KeyUsageType::SignVerify).send().await.expect("make a key");
        made.key_metadata().and_then(|key| key.arn()).expect("an ARN").to_owned()
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn leash(program: PathBuf, port: u16) -> ChildStdin {
    let home = std::env::temp_dir();
    let script = r#"trap "" INT TERM HUP; "$@" </dev/null & cat >/dev/null; kill -9 $!"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "leash"]).arg(program).args(["--bind", &format!("127.0.0.1:{port}")]);
    command.arg("ministack.app:app").current_dir(&home).env("HOME", &home);
    command.env("SERVICES", "s3,kms,sts").env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shell = command.spawn().expect("start a shell");
    let leash = shell.stdin.take().expect("its input");
    std::thread::spawn(move || shell.wait());
    leash
}
