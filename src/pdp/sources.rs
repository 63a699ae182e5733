//! The texts that make up a bundle, before anything is made of them.

use super::problem::{BundleErrors, Problem};
use sha2::{Digest as _, Sha256};

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// Path relative to the folder that holds `schema/` and `policies/`: `policies/roles.cedar`.
    pub name: String,
    /// Content.
    pub text: String,
}

impl SourceFile {
    /// A file from its name and content.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The name without folders and without extension.
    pub(super) fn stem(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or(&self.name);
        file.split('.').next().unwrap_or(file)
    }
}

/// All files of a bundle, sorted by what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `schema/*.cedarschema`.
    pub schema: Vec<SourceFile>,
    /// `policies/**/*.cedar`.
    pub policies: Vec<SourceFile>,
    /// `policies/roles.json`.
    pub roles: SourceFile,
    /// `policies/apps.json`.
    pub apps: SourceFile,
    /// `policies/tests/*`: canaries, cast, cases, matrix.
    pub tests: Vec<SourceFile>,
    /// Name of the rack: the id of its entity.
    pub rack: String,
}

/// The files that the binary carries.
const EMBEDDED: &[(&str, &str)] = &[
    ("schema/actions.cedarschema", include_str!("../../schema/actions.cedarschema")),
    ("schema/entities.cedarschema", include_str!("../../schema/entities.cedarschema")),
    ("policies/apps.json", include_str!("../../policies/apps.json")),
    ("policies/approvals.cedar", include_str!("../../policies/approvals.cedar")),
    ("policies/audit.cedar", include_str!("../../policies/audit.cedar")),
    ("policies/gateway.cedar", include_str!("../../policies/gateway.cedar")),
    ("policies/guardrails.cedar", include_str!("../../policies/guardrails.cedar")),
    ("policies/machines.cedar", include_str!("../../policies/machines.cedar")),
    ("policies/roles.cedar", include_str!("../../policies/roles.cedar")),
    ("policies/roles.json", include_str!("../../policies/roles.json")),
    ("policies/secrets.cedar", include_str!("../../policies/secrets.cedar")),
    ("policies/step-up.cedar", include_str!("../../policies/step-up.cedar")),
    ("policies/tests/approvals.json", include_str!("../../policies/tests/approvals.json")),
    ("policies/tests/audit.json", include_str!("../../policies/tests/audit.json")),
    ("policies/tests/canaries.json", include_str!("../../policies/tests/canaries.json")),
    ("policies/tests/cast.json", include_str!("../../policies/tests/cast.json")),
    ("policies/tests/deploying.json", include_str!("../../policies/tests/deploying.json")),
    ("policies/tests/gateway.json", include_str!("../../policies/tests/gateway.json")),
    ("policies/tests/guardrails.json", include_str!("../../policies/tests/guardrails.json")),
    ("policies/tests/machines.json", include_str!("../../policies/tests/machines.json")),
    ("policies/tests/matrix.txt", include_str!("../../policies/tests/matrix.txt")),
    ("policies/tests/roles.json", include_str!("../../policies/tests/roles.json")),
    ("policies/tests/secrets.json", include_str!("../../policies/tests/secrets.json")),
    ("policies/tests/step-up.json", include_str!("../../policies/tests/step-up.json")),
];

impl Sources {
    /// The defaults that the binary carries, for a rack of this name.
    #[must_use]
    pub fn embedded(rack: &str) -> Self {
        let mut sources = Self::empty(rack);
        for (name, text) in EMBEDDED {
            sources.place(SourceFile::new(*name, *text));
        }
        sources
    }

    /// Sort the files of a folder, given as names relative to it and contents. Notes (`*.md`) are
    /// left out.
    ///
    /// # Errors
    /// A file that is none of a bundle's, or a file that every bundle has and this one has not:
    /// a policy that lies where nobody looks would silently not hold.
    pub fn from_files<I>(rack: &str, files: I) -> Result<Self, BundleErrors>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let mut sources = Self::empty(rack);
        let mut problems = Vec::new();
        for (name, text) in files {
            if name.ends_with(".md") {
                continue;
            }
            let placed = sources.place(SourceFile::new(name.as_str(), text));
            if !placed {
                problems.push(Problem::new(
                    &name,
                    None,
                    "this file belongs to no bundle",
                    "remove it, or name it schema/*.cedarschema, policies/*.cedar, policies/roles.json, \
                     policies/apps.json or policies/tests/*.json",
                ));
            }
        }
        problems.extend(sources.missing());
        BundleErrors::check(problems)?;
        sources.schema.sort();
        sources.policies.sort();
        sources.tests.sort();
        Ok(sources)
    }

    /// SHA-256, in hex, over name, length and content of every file that takes part in decisions.
    /// Tests do not: adding one does not make another bundle.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut files: Vec<&SourceFile> = self.schema.iter().chain(&self.policies).collect();
        files.extend([&self.roles, &self.apps]);
        files.sort();
        let mut hash = Sha256::new();
        for file in files {
            hash.update(file.name.len().to_be_bytes());
            hash.update(file.name.as_bytes());
            hash.update(file.text.len().to_be_bytes());
            hash.update(file.text.as_bytes());
        }
        hex::encode(hash.finalize())
    }

    /// A file of the tests folder, by its name without folders.
    pub(super) fn test_file(&self, name: &str) -> Option<&SourceFile> {
        self.tests.iter().find(|file| file.name.rsplit('/').next() == Some(name))
    }

    fn empty(rack: &str) -> Self {
        Self {
            schema: Vec::new(),
            policies: Vec::new(),
            roles: SourceFile::new("policies/roles.json", ""),
            apps: SourceFile::new("policies/apps.json", ""),
            tests: Vec::new(),
            rack: rack.to_owned(),
        }
    }

    /// Put a file where it belongs; false when it belongs nowhere.
    fn place(&mut self, file: SourceFile) -> bool {
        let extension = file.name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let in_tests = file.name.starts_with("policies/tests/");
        let in_policies = file.name.starts_with("policies/") && !in_tests;
        match extension {
            "cedarschema" if file.name.starts_with("schema/") => self.schema.push(file),
            "cedar" if in_policies => self.policies.push(file),
            "json" | "txt" if in_tests => self.tests.push(file),
            "json" if file.name == self.roles.name => self.roles = file,
            "json" if file.name == self.apps.name => self.apps = file,
            _ => return false,
        }
        true
    }

    fn missing(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut want = |missing: bool, file: &str, remedy: &str| {
            if missing {
                problems.push(Problem::new(file, None, "the file is missing", remedy));
            }
        };
        want(self.schema.is_empty(), "schema/*.cedarschema", "put the schema beside the policies");
        want(self.policies.is_empty(), "policies/*.cedar", "a bundle without policies permits nothing; add one");
        want(self.roles.text.is_empty(), &self.roles.name, "declare the roles; policies/README.md shows how");
        want(self.apps.text.is_empty(), &self.apps.name, "declare the apps; {\"apps\": []} is enough to begin with");
        want(
            self.test_file("canaries.json").is_none(),
            "policies/tests/canaries.json",
            "list requests that must be denied; [] is enough to begin with",
        );
        problems
    }
}
