//! Which room names which: the tables of `ARCHITECTURE.md` against the source.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::source::{is_test_file, is_test_only, item_attributes, tight};
use super::{none, read, table, walk_ext};

/// Room to the rooms that it may name.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let rows = table(&read("ARCHITECTURE.md"), "<!-- tidy: rooms -->");
    rows.into_iter().map(|row| (row[0].clone(), list(&row[1]))).collect()
}

/// Crate to the rooms that may name it.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let rows = table(&read("ARCHITECTURE.md"), "<!-- tidy: crates -->");
    rows.into_iter().map(|row| (row[0].clone(), list(&row[1]))).collect()
}

fn list(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(str::trim).filter(|name| *name != "–").map(str::to_owned).collect()
}

/// `src/pep/accept.rs` is in the room `pep`, `src/clock.rs` in `clock`.
fn room_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").expect("a path below src/");
    inside.split('/').next().map_or(inside, |first| first.strip_suffix(".rs").unwrap_or(first))
}

/// Module path of a file: `src/pep/accept.rs` is `[pep, accept]`.
fn modules_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").and_then(|p| p.strip_suffix(".rs")).expect("a source file");
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    let root = ["lib", "main"].contains(&inside);
    if root { Vec::new() } else { inside.split('/').map(str::to_owned).collect() }
}

/// Names that a file uses: rooms of this crate, and first segments of other paths.
#[derive(Default)]
struct Names {
    rooms: BTreeSet<String>,
    firsts: BTreeSet<String>,
    modules: Vec<String>,
}

impl Names {
    fn of(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut names = Self { modules: modules_of(path), ..Self::default() };
        names.visit_file(&file);
        names
    }

    fn path(&mut self, path: &[String]) {
        let Some(first) = path.first() else { return };
        match first.as_str() {
            "crate" | "rack_gateway" => self.room(path.get(1)),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let kept = self.modules.len().saturating_sub(ups);
                let mut full = self.modules[..kept].to_vec();
                full.extend(path[ups..].iter().cloned());
                self.room(full.first());
            }
            _ => {
                self.firsts.insert(first.clone());
            }
        }
    }

    fn room(&mut self, name: Option<&String>) {
        self.rooms.extend(name.cloned());
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.use_tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Name(name) => self.leaf(before, &name.ident),
            syn::UseTree::Rename(name) => self.leaf(before, &name.ident),
            syn::UseTree::Glob(_) => self.path(&before.clone()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before)),
        }
    }

    fn leaf(&mut self, before: &[String], name: &syn::Ident) {
        let mut path = before.to_vec();
        path.push(name.to_string());
        self.path(&path);
    }

    /// Macro bodies and attribute arguments are not parsed: every `a::b` in them counts.
    fn tokens(&mut self, tight: &str) {
        let mut rest = tight;
        while let Some(at) = rest.find("::") {
            let before = &rest[..at];
            let start = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |i| i + 1);
            let follows_path = before[..start].ends_with("::");
            let after: String = rest[at + 2..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !follows_path && start < at {
                self.path(&[before[start..].to_owned(), after]);
            }
            rest = &rest[at + 2..];
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test_only(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.modules.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &mut Vec::new());
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.path(&[item.ident.to_string()]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.path(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(&tight(&list.tokens));
        visit::visit_meta_list(self, list);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.tokens(&tight(&invoked.tokens));
        visit::visit_macro(self, invoked);
    }
}

fn problems_in(path: &str, text: &str) -> Vec<String> {
    let room = room_of(path);
    if room == "lib" {
        return Vec::new();
    }
    let rooms = rooms();
    let Some(may) = rooms.get(room) else {
        return vec![format!("{path}: the room {room} has no row in ARCHITECTURE.md")];
    };
    let names = Names::of(path, text);
    let strange = names.rooms.iter().filter(|name| *name != room && rooms.contains_key(*name) && !may.contains(*name));
    let strange = strange.map(|name| format!("{path}: {room} may not name crate::{name} (ARCHITECTURE.md)"));
    let owned = crates();
    let foreign = owned.iter().filter(|(name, owners)| names.firsts.contains(*name) && !owners.contains(room));
    let foreign = foreign.map(|(name, owners)| format!("{path}: only {owners:?} may name {name} (ARCHITECTURE.md)"));
    strange.chain(foreign).collect()
}

#[test]
fn rooms_name_only_what_the_map_allows() {
    let files = walk_ext("src", &[".rs"]);
    let checked = files.iter().filter(|path| !is_test_file(path));
    none(&checked.flat_map(|path| problems_in(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn the_map_has_no_cycle_and_no_unknown_room() {
    let rooms = rooms();
    let mut settled = BTreeSet::new();
    while settled.len() < rooms.len() {
        let next = rooms.iter().find(|(room, may)| !settled.contains(*room) && may.is_subset(&settled));
        let (room, _) = next.unwrap_or_else(|| panic!("a cycle or an unknown room; settled: {settled:?}"));
        settled.insert(room.clone());
    }
    let source = read("src/lib.rs");
    let written = source.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let written: BTreeSet<_> = written.map(str::to_owned).collect();
    let drawn: BTreeSet<_> = rooms.into_keys().filter(|room| room != "main" && room != "bin").collect();
    assert_eq!(written, drawn, "src/lib.rs and ARCHITECTURE.md name different rooms");
    for owners in crates().values() {
        assert!(owners.is_subset(&drawn), "unknown room in {owners:?}");
    }
}

#[test]
fn forbidden_names_are_found_in_every_form() {
    let cases = [
        ("src/pdp/mod.rs", "use crate::store::Store;"),
        ("src/pdp/mod.rs", "use crate::{routes::Row, store};"),
        ("src/pdp/mod.rs", "use crate::{store::{self as s}};"),
        ("src/pdp/mod.rs", "fn f() { crate::clock::Clock::system(); }"),
        ("src/pdp/mod.rs", "fn f(c: &crate::clock::Clock) {}"),
        ("src/pdp/mod.rs", "use super::store;"),
        ("src/pdp/a/b.rs", "use super::super::super::store::Store;"),
        ("src/pdp/mod.rs", "mod inner { use super::super::store; }"),
        ("src/pdp/mod.rs", "fn f() { info!(crate::store::x()); }"),
        ("src/pdp/mod.rs", "fn f() { awc::Client::new(); }"),
        ("src/http/mod.rs", "use awc::Client;"),
        ("src/http/mod.rs", "use ::sea_orm as s;"),
        ("src/http/mod.rs", "#[derive(sea_orm::DeriveEntityModel)] struct S;"),
        ("src/routes/mod.rs", "#[actix_web::main] async fn f() {}"),
        ("src/main.rs", "fn main() { rack_gateway::http::run() }"),
        ("src/bin/rack-gateway.rs", "fn main() { rack_gateway::cli::main() }"),
        ("src/client/mod.rs", "use crate::identity::Token;"),
        ("src/new_room/mod.rs", ""),
    ];
    for (path, text) in cases {
        assert_eq!(problems_in(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn allowed_names_are_not_found() {
    let cases = [
        ("src/pdp/mod.rs", "use crate::{pdp::Bundle, routes::Row};"),
        ("src/pdp/a/b.rs", "use super::super::routes::Row;"),
        ("src/pdp/a/b.rs", "use super::store;"),
        ("src/pdp/mod.rs", "#[cfg(test)] mod tests { use crate::store::Store; }"),
        ("src/upstream/mod.rs", "use awc::Client; fn f() { self.store(); }"),
        ("src/main.rs", "fn main() { rack_gateway::cli::main() }"),
    ];
    for (path, text) in cases {
        none(&problems_in(path, text));
    }
}
