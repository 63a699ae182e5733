//! A bucket with Object Lock. Every write is conditional, checked by a SHA-256 and locked in
//! compliance mode, so that nobody, not the owner of the account, can change or delete it before
//! its time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::ObjectLockMode;
use aws_sdk_s3::{Client, error::SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::AnchorError;
use super::aws::{Aws, status, trouble};
use super::objects::{ObjectVersion, Put};
use crate::proof::trust::AnchorStore;

pub(super) const WHAT: &str = "the bucket of the anchors";
/// No object of ours is larger.
const MOST_BYTES: i64 = 1 << 20;

/// A bucket.
#[derive(Clone)]
pub struct S3 {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) account: Option<String>,
    pub(super) region: String,
    retention: time::Duration,
    patience: Duration,
    time: ServerTime,
}

impl S3 {
    pub(super) async fn open(
        bucket: &str,
        account: Option<&str>,
        retention_days: u32,
        aws: &Aws,
    ) -> Result<Self, AnchorError> {
        let config = aws.load().await;
        let region = config.region().map(ToString::to_string);
        let region = region
            .ok_or_else(|| AnchorError::Unusable("the region of the bucket is not known: set AWS_REGION".to_owned()))?;
        let time = ServerTime::default();
        let client = client(&config, None, &time);
        let head = client.head_bucket().bucket(bucket).set_expected_bucket_owner(account.map(str::to_owned));
        let told = match head.send().await {
            Ok(head) => head.bucket_region().map(str::to_owned),
            Err(error) => {
                let header = |response: &aws_sdk_s3::config::http::HttpResponse| {
                    response.headers().get("x-amz-bucket-region").map(str::to_owned)
                };
                let elsewhere = error.raw_response().filter(|r| r.status().as_u16() == 301).and_then(header);
                if elsewhere.is_none() {
                    return Err(missing_bucket(bucket, &error));
                }
                elsewhere
            }
        };
        let region = told.unwrap_or(region);
        Ok(Self {
            client: self::client(&config, Some(&region), &time),
            bucket: bucket.to_owned(),
            account: account.map(str::to_owned),
            region,
            retention: time::Duration::days(i64::from(retention_days)),
            patience: aws.patience(),
            time,
        })
    }

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes, now: OffsetDateTime) -> Result<Put, AnchorError> {
        let until = now.saturating_add(self.retention).unix_timestamp();
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.account.clone())
            .key(key)
            .if_none_match("*")
            .checksum_sha256(STANDARD.encode(Sha256::digest(&bytes)))
            .content_type("application/octet-stream")
            .object_lock_mode(ObjectLockMode::Compliance)
            .object_lock_retain_until_date(DateTime::from_secs(until))
            .body(ByteStream::from(bytes));
        match put.send().await {
            Ok(_) => Ok(Put::Done),
            Err(error) if status(&error) == Some(412) => Ok(Put::Exists),
            Err(error) => Err(trouble(WHAT, &error)),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, AnchorError> {
        let get = self.client.get_object().bucket(&self.bucket).set_expected_bucket_owner(self.account.clone());
        let found = match get.key(key).send().await {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(trouble(WHAT, &error)),
        };
        if found.content_length().is_some_and(|length| length > MOST_BYTES) {
            return Err(AnchorError::Unusable(format!("{key} is larger than any object of ours")));
        }
        let unavailable = |cause: String| AnchorError::Unavailable { what: WHAT, cause };
        match tokio::time::timeout(self.patience, found.body.collect()).await {
            Ok(Ok(body)) => Ok(Some(body.into_bytes())),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_) => Err(unavailable("no answer in time".to_owned())),
        }
    }

    pub(super) async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<Vec<String>, AnchorError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket);
        let list = list.set_expected_bucket_owner(self.account.clone()).prefix(prefix);
        let mut pages = list.set_start_after(start_after.map(str::to_owned)).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| trouble(WHAT, &error))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }

    pub(super) async fn versions(&self, prefix: &str) -> Result<Vec<ObjectVersion>, AnchorError> {
        let mut all = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let list = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
            let list = list.set_expected_bucket_owner(self.account.clone());
            let page = list.set_key_marker(key.take()).set_version_id_marker(version.take()).send().await;
            let page = page.map_err(|error| trouble(WHAT, &error))?;
            all.extend(page.versions().iter().map(|found| ObjectVersion {
                key: found.key().unwrap_or_default().to_owned(),
                version: found.version_id().unwrap_or_default().to_owned(),
                is_marker: false,
                is_latest: found.is_latest().unwrap_or_default(),
                last_modified: found.last_modified().and_then(time_of),
            }));
            all.extend(page.delete_markers().iter().map(|found| ObjectVersion {
                key: found.key().unwrap_or_default().to_owned(),
                version: found.version_id().unwrap_or_default().to_owned(),
                is_marker: true,
                is_latest: found.is_latest().unwrap_or_default(),
                last_modified: found.last_modified().and_then(time_of),
            }));
            key = page.next_key_marker().map(str::to_owned);
            version = page.next_version_id_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || key.is_none() {
                return Ok(all);
            }
        }
    }

    pub(super) fn store(&self) -> AnchorStore {
        AnchorStore::S3 {
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            account: self.account.clone().unwrap_or_default(),
        }
    }

    pub(super) fn time(&self) -> Option<OffsetDateTime> {
        self.time.now()
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.bucket).field("region", &self.region).finish_non_exhaustive()
    }
}

fn client(config: &SdkConfig, region: Option<&str>, time: &ServerTime) -> Client {
    let mut builder = Builder::from(config).interceptor(time.clone());
    // An endpoint of one's own rarely has a host name for each bucket.
    builder.set_force_path_style(config.endpoint_url().map(|_| true));
    if let Some(region) = region {
        builder = builder.region(Region::new(region.to_owned()));
    }
    Client::from_conf(builder.build())
}

type HeadError = SdkError<aws_sdk_s3::operation::head_bucket::HeadBucketError, aws_sdk_s3::config::http::HttpResponse>;

/// An answer without a body: its status says everything.
fn missing_bucket(bucket: &str, error: &HeadError) -> AnchorError {
    if status(error) == Some(404) {
        return AnchorError::Unusable(format!("there is no bucket {bucket}"));
    }
    trouble(WHAT, error)
}

pub(super) fn time_of(at: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.secs()).ok()
}

/// The clock of the service: its last answer's `Date`, and how long ago that was.
#[derive(Clone, Debug, Default)]
struct ServerTime(Arc<Mutex<Option<(OffsetDateTime, Instant)>>>);

impl ServerTime {
    fn now(&self) -> Option<OffsetDateTime> {
        let (date, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        date.checked_add(time::Duration::try_from(at.elapsed()).ok()?)
    }
}

impl Intercept for ServerTime {
    fn name(&self) -> &'static str {
        "ServerTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date.as_ref().and_then(time_of) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, Instant::now()));
        }
        Ok(())
    }
}
