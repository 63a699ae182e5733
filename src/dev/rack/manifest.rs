//! As much of `convox.yml` as a rack in memory needs: the names of services and resources, and a
//! service's command, port and scale.

/// What a new app runs.
pub(super) const DEFAULT: &str = concat!(
    "environment:\n  - COLOR=red\n",
    "resources:\n  database:\n    type: postgres\n",
    "services:\n  web:\n    build: .\n    port: 3000\n    resources:\n      - database\n",
);

/// A service as the manifest declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) port: Option<i64>,
    pub(super) scale: Option<i64>,
    /// `type` of a resource.
    pub(super) kind: String,
}

/// Entries of a top-level section, `services` or `resources`.
pub(super) fn section(manifest: &str, name: &str) -> Vec<Declared> {
    let mut inside = false;
    let mut found: Vec<Declared> = Vec::new();
    for line in manifest.lines() {
        let depth = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        let value = value.trim();
        match (depth, found.last_mut()) {
            (0, _) => inside = key == name,
            (2, _) if inside => found.push(Declared { name: key.to_owned(), ..Declared::default() }),
            (4, Some(entry)) if inside => match key {
                "command" => entry.command = value.to_owned(),
                "port" => entry.port = value.parse().ok(),
                "scale" => entry.scale = value.parse().ok(),
                "type" => entry.kind = value.to_owned(),
                _ => {}
            },
            _ => {}
        }
    }
    found
}
