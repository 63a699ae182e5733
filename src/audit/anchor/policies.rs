//! What has to be configured at AWS, ready to paste: who may do what, and that nobody may undo it.

use serde_json::{Value, json};

/// What the policies are about.
#[derive(Clone, Debug)]
pub struct PolicyFacts {
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the log: the prefix of its objects.
    pub origin: String,
    /// ARN of the key.
    pub key: String,
    /// The account of both, for principals.
    pub account: String,
    /// ARN of the role that makes anchors.
    pub anchorer: String,
    /// ARN of the role that serves, where another one makes anchors.
    pub serving: Option<String>,
    /// For how many days each object is locked.
    pub retention_days: u32,
}

impl PolicyFacts {
    fn bucket_arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.bucket)
    }

    fn objects_arn(&self) -> String {
        format!("arn:aws:s3:::{}/*", self.bucket)
    }

    fn log_arn(&self) -> String {
        format!("arn:aws:s3:::{}/v1/{}/*", self.bucket, self.origin)
    }

    /// The bucket's policy: new objects only, by the anchorer only, locked for as long as agreed, never
    /// deleted. Denials hold for administrators too. Writing a locked object takes the right to
    /// `s3:PutObjectRetention`; in compliance mode that right cannot shorten anything.
    #[must_use]
    pub fn bucket_policy(&self) -> Value {
        let (bucket, objects) = (self.bucket_arn(), self.objects_arn());
        let write = ["s3:PutObject", "s3:PutObjectRetention"];
        let deny = |sid: &str, action: Value, resource: Value, condition: Option<Value>| {
            let mut statement =
                json!({"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource});
            if let (Some(condition), Some(map)) = (condition, statement.as_object_mut()) {
                map.insert("Condition".to_owned(), condition);
            }
            statement
        };
        let days = self.retention_days;
        let remaining = "s3:object-lock-remaining-retention-days";
        let undo = json!([
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:BypassGovernanceRetention",
            "s3:PutObjectLegalHold",
            "s3:PutBucketVersioning",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:PutReplicationConfiguration",
            "s3:DeleteBucket",
        ]);
        json!({"Version": "2012-10-17", "Statement": [
            deny("OnlyOverTls", json!("s3:*"), json!([bucket, objects]),
                Some(json!({"Bool": {"aws:SecureTransport": "false"}}))),
            deny("OnlyNewObjects", json!("s3:PutObject"), json!(objects),
                Some(json!({"Null": {"s3:if-none-match": "true"}}))),
            deny("OnlyByTheAnchorer", json!(write), json!(objects),
                Some(json!({"ArnNotEquals": {"aws:PrincipalArn": self.anchorer}}))),
            deny("OnlyLocked", json!(write), json!(objects),
                Some(json!({"StringNotEquals": {"s3:object-lock-mode": "COMPLIANCE"}}))),
            deny("LongEnough", json!(write), json!(objects),
                Some(json!({"NumericLessThan": {remaining: days.saturating_sub(1).to_string()}}))),
            deny("NotForEver", json!(write), json!(objects),
                Some(json!({"NumericGreaterThan": {remaining: days.saturating_add(1).to_string()}}))),
            deny("NothingIsUndone", undo, json!([bucket, objects]), None),
        ]})
    }

    /// The bucket's Object Lock configuration: what is written without a lock gets one.
    #[must_use]
    pub fn object_lock(&self) -> Value {
        let retention = json!({"Mode": "COMPLIANCE", "Days": self.retention_days});
        json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}})
    }

    /// The key's policy: administrators manage it and cannot sign; the anchorer signs and cannot
    /// manage it.
    #[must_use]
    pub fn key_policy(&self) -> Value {
        let readers: Vec<_> = [Some(&self.anchorer), self.serving.as_ref()].into_iter().flatten().collect();
        let manage = json!([
            "kms:Describe*",
            "kms:Get*",
            "kms:List*",
            "kms:Put*",
            "kms:Enable*",
            "kms:Disable*",
            "kms:Update*",
            "kms:Create*",
            "kms:Delete*",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:ScheduleKeyDeletion",
            "kms:CancelKeyDeletion",
        ]);
        json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "Management", "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{}:root", self.account)}, "Action": manage, "Resource": "*"},
            {"Sid": "Anchors", "Effect": "Allow", "Principal": {"AWS": self.anchorer}, "Action": "kms:Sign",
                "Resource": "*", "Condition": {"StringEquals":
                    {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}}},
            {"Sid": "PublicHalf", "Effect": "Allow", "Principal": {"AWS": readers}, "Action": "kms:GetPublicKey",
                "Resource": "*"},
            {"Sid": "NobodyElseSigns", "Effect": "Deny", "Principal": "*", "Action": "kms:Sign", "Resource": "*",
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": self.anchorer}}},
        ]})
    }

    /// What the role that makes anchors may do.
    #[must_use]
    pub fn anchorer_policy(&self) -> Value {
        let objects = ["s3:PutObject", "s3:PutObjectRetention", "s3:GetObject"];
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": objects, "Resource": self.log_arn()},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.bucket_arn()},
            {"Effect": "Allow", "Action": ["kms:Sign", "kms:GetPublicKey"], "Resource": self.key},
        ]})
    }

    /// What the role that serves may do, where another one makes anchors: it reads.
    #[must_use]
    pub fn serving_policy(&self) -> Value {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": self.log_arn()},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.bucket_arn()},
        ]})
    }

    /// What an auditor may do.
    #[must_use]
    pub fn auditor_policy(&self) -> Value {
        let objects = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"];
        let bucket = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketObjectLockConfiguration"];
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": objects, "Resource": self.log_arn()},
            {"Effect": "Allow", "Action": bucket, "Resource": self.bucket_arn()},
            {"Effect": "Allow", "Action": "kms:GetPublicKey", "Resource": self.key},
        ]})
    }
}
