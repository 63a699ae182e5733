//! Which grant covers a step, and what of the step is not what was approved, as far as the database knows.

use crate::pdp::Exec;
use crate::routes::{Form, Matched, Step};
use crate::store::{DeployStepKind as Kind, StepState};

use super::{Deploy, Drift, Grant};

/// Where the `convox` command puts what it uploads; the rest of an app's objects is the rack's own.
const UPLOADS: &str = "tmp/";
/// Options of a build that change what is built, or build it elsewhere.
const BUILD: [&str; 4] = ["build-args", "development", "external", "wildcard-domain"];
/// Options of a promotion that change what runs, or pass over what the rack checks.
const PROMOTE: [&str; 5] = ["development", "force", "idle", "max", "min"];

impl Deploy {
    pub(super) fn compare(&mut self, matched: &Matched, options: &[&str], exec: Option<&Exec>) {
        let (grant, drift) = match self.step {
            Step::Upload => self.upload(matched.param("key").unwrap_or_default(), options),
            Step::Build => self.build(),
            Step::Release => self.release(),
            Step::Promote => self.promote(),
            Step::Start => self.start(exec.map(|exec| exec.release.as_str()).unwrap_or_default()),
            Step::Process => self.process(matched.param("process").unwrap_or_default()),
            Step::ReadBuild | Step::ReadRelease => (self.open.first(), None),
        };
        let grant = grant.cloned();
        self.drift = drift.filter(|_| grant.is_some());
        self.grant = grant;
    }

    /// One upload for each grant. Which of them an upload belongs to is known when it is built.
    fn upload(&self, key: &str, options: &[&str]) -> (Option<&Grant>, Option<Drift>) {
        if let Some(free) = self.open.iter().find(|grant| grant.step(Kind::Upload).is_none()) {
            let drift = if !key.starts_with(UPLOADS) {
                Some(Drift::new("upload", "the upload is not where the convox command puts it"))
            } else if options.contains(&"public") {
                Some(Drift::new("upload", "the upload would be public"))
            } else {
                None
            };
            return (Some(free), drift);
        }
        (self.open.first(), Some(Drift::used("something was uploaded under this approval already")))
    }

    /// The commit names the grant.
    fn build(&self) -> (Option<&Grant>, Option<Drift>) {
        let commit = self.form.get("git-sha").unwrap_or_default();
        let url = self.form.get("url").unwrap_or_default();
        let key = url.strip_prefix("object://").and_then(|rest| rest.strip_prefix(self.app.as_str()));
        let key = key.and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        let uploaded = |grant: &&Grant| grant.step(Kind::Upload).is_some_and(|upload| upload.subject == key);
        let Some(grant) = self.open.iter().find(|grant| grant.row.commit == commit) else {
            let why = "the build does not name the approved commit: run convox in the git checkout of it";
            return (self.open.iter().find(uploaded), Some(Drift::new("commit", why)));
        };
        if grant.step(Kind::Build).is_some() {
            return (Some(grant), Some(Drift::used("a build was made under this approval already")));
        }
        let upload = self.open.iter().find(uploaded).and_then(|grant| grant.step(Kind::Upload));
        let drift = if upload.is_none_or(|upload| upload.state != StepState::Done || upload.by != self.party) {
            Some(Drift::new("object", "the build is not of what was uploaded under this approval"))
        } else {
            option(&self.form, &BUILD).map(|name| {
                Drift::new("options", format!("the build has the option {name}, which changes what is built"))
            })
        };
        (Some(grant), drift)
    }

    fn release(&self) -> (Option<&Grant>, Option<Drift>) {
        let build = self.form.get("build").unwrap_or_default();
        let Some(grant) = self.open.iter().find(|grant| grant.made(Kind::Build) == Some(build)) else {
            return (self.sole(), Some(Drift::new("build", "the release is not of the approved build")));
        };
        let parent = self.form.get("parent-release");
        let drift = if grant.step(Kind::Release).is_some() {
            Some(Drift::used("a release was made under this approval already"))
        } else if self.form.get("env").is_some() {
            Some(Drift::new("environment", "the release brings an environment of its own"))
        } else if parent.is_some_and(|parent| Some(parent) != grant.row.parent_release.as_deref()) {
            Some(Drift::new("environment", "the release copies the environment of another release than was approved"))
        } else {
            None
        };
        (Some(grant), drift)
    }

    /// Which of several grants it is, the rack says: it knows of which build the release is.
    fn promote(&self) -> (Option<&Grant>, Option<Drift>) {
        let built = self.open.iter().find(|grant| grant.made(Kind::Build).is_some());
        let Some(grant) = built else {
            return (self.sole(), Some(Drift::new("release", "nothing was built under this approval yet")));
        };
        (Some(grant), None)
    }

    fn start(&self, release: &str) -> (Option<&Grant>, Option<Drift>) {
        if release.is_empty() {
            let why = "the process is of the running release: name the approved one with --release";
            return (self.sole(), Some(Drift::new("process", why)));
        }
        self.promote()
    }

    fn process(&self, process: &str) -> (Option<&Grant>, Option<Drift>) {
        let started = |grant: &&Grant| {
            let mut starts = grant.steps.iter().filter(|step| step.step == Kind::Start);
            starts.any(|start| start.result.as_deref() == Some(process))
        };
        match self.open.iter().find(started) {
            Some(grant) => (Some(grant), None),
            None => (self.sole(), Some(Drift::new("process", "the process was not started under this approval"))),
        }
    }

    /// The only grant: what covers nothing else was meant to be covered by this one. Of several nobody can say.
    fn sole(&self) -> Option<&Grant> {
        match self.open.as_slice() {
            [grant] => Some(grant),
            _ => None,
        }
    }

    /// Whether a grant covers the promotion of a release that is of its build.
    pub(super) fn promotion(&self, grant: &Grant) -> Option<Drift> {
        if grant.step(Kind::Promote).is_some() {
            return Some(Drift::used("a release was promoted under this approval already"));
        }
        option(&self.form, &PROMOTE)
            .map(|name| Drift::new("options", format!("the promotion has the option {name}, which was not approved")))
    }
}

/// The first of these options that is given and not switched off.
fn option(form: &Form, names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| form.get(name).is_some_and(|value| !matches!(value, "" | "false")))
}
