//! What source under `src/` may not contain outside its tests.

use syn::visit::{self, Visit};

use super::{none, read, walk_ext};

/// Macros that end the process or write past the tracing subscriber.
const MACROS: &[&str] =
    &["panic", "todo", "unimplemented", "unreachable", "println", "eprintln", "print", "eprint", "dbg"];

/// Files of tests: their own files under `src/`, by name.
pub(super) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// `#[cfg(test)]`, alone or inside `all(..)`.
pub(super) fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        let condition = list.tokens.to_string();
        list.path.is_ident("cfg") && condition.contains("test") && !condition.contains("not")
    })
}

pub(super) fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// A token stream as text without spaces: bodies of macros are not parsed, so they are searched.
pub(super) fn tight(tokens: &impl ToString) -> String {
    tokens.to_string().split_whitespace().collect()
}

struct Finder<'a> {
    path: &'a str,
    problems: Vec<String>,
}

impl Finder<'_> {
    fn report(&mut self, what: &str, instead: &str) {
        self.problems.push(format!("{}: {what}: {instead}", self.path));
    }

    fn call(&mut self, path: &[String]) {
        let [.., owner, name] = path else { return };
        match (owner.as_str(), name.as_str()) {
            ("SystemTime", "now") | ("OffsetDateTime" | "UtcDateTime", "now_utc" | "now_local" | "now")
                if self.path != "src/clock.rs" =>
            {
                self.report(&format!("{owner}::{name}"), "take a Clock");
            }
            ("env", "var" | "vars" | "var_os" | "vars_os" | "set_var" | "remove_var")
                if !self.path.starts_with("src/config/") && self.path != "src/client/environment.rs" =>
            {
                self.report(&format!("env::{name}"), "only config reads the environment, and the client's own file");
            }
            ("process", "exit" | "abort") => self.report(&format!("process::{name}"), "return an ExitCode"),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
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

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let hides = ["allow", "expect"];
        let within = match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg_attr") => tight(&list.tokens),
            _ => String::new(),
        };
        if hides.iter().any(|name| attribute.path().is_ident(name) || within.contains(&format!(",{name}("))) {
            self.report("#[allow] or #[expect]", "write it so that the lint is content");
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        // A parser's own `expect(b':')` is another method.
        let takes_byte = matches!(call.args.first(), Some(syn::Expr::Lit(lit)) if matches!(lit.lit, syn::Lit::Byte(_)));
        if call.method == "unwrap" || (call.method == "expect" && !takes_byte) {
            self.report(&format!(".{}()", call.method), "return an error");
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.call(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        if let Some(name) = MACROS.iter().find(|name| invoked.path.is_ident(name)) {
            self.report(&format!("{name}!"), "return an error, or use tracing or the injected writer");
        }
        let body = tight(&invoked.tokens);
        for call in [".unwrap()", ".expect(", "SystemTime::now()", "::now_utc()", "env::var("] {
            if body.contains(call) {
                self.report(&format!("{call} in {}!", tight_path(&invoked.path)), "keep it out of macros too");
            }
        }
        visit::visit_macro(self, invoked);
    }
}

fn tight_path(path: &syn::Path) -> String {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
}

fn problems_in(path: &str, text: &str) -> Vec<String> {
    let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut finder = Finder { path, problems: Vec::new() };
    finder.visit_file(&file);
    finder.problems
}

#[test]
fn source_has_no_hidden_panics_clocks_or_settings() {
    let files = walk_ext("src", &[".rs"]);
    let checked = files.iter().filter(|path| !is_test_file(path));
    none(&checked.flat_map(|path| problems_in(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn each_forbidden_thing_is_found() {
    let cases = [
        "#[allow(dead_code)] fn f() {}",
        "#![allow(dead_code)]",
        "#[cfg_attr(feature = \"dev\", expect(dead_code))] fn f() {}",
        "fn f() { g().unwrap(); }",
        "fn f() { g().expect(\"x\"); }",
        "fn f() { panic!() }",
        "fn f() { todo!() }",
        "fn f() { println!(\"x\") }",
        "fn f() { info!(x = g().unwrap()) }",
        "fn f() { time::OffsetDateTime::now_utc(); }",
        "fn f() { g(OffsetDateTime::now_utc); }",
        "fn f() { std::time::SystemTime::now(); }",
        "fn f() { std::env::var(\"X\"); }",
        "fn f() { std::process::exit(1); }",
        "impl T { fn f() { g().unwrap(); } }",
        "mod m { fn f() { g().unwrap(); } }",
        "#[cfg(not(test))] fn f() { g().unwrap(); }",
    ];
    for case in cases {
        assert_eq!(problems_in("src/x/mod.rs", case).len(), 1, "{case}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let cases = [
        ("src/x/mod.rs", "#[cfg(test)] mod tests { fn f() { g().unwrap(); } }"),
        ("src/x/mod.rs", "impl T { #[cfg(test)] fn f() { g().unwrap(); } }"),
        ("src/x/mod.rs", "fn f() { g().unwrap_or_default(); std::time::Instant::now(); std::env::args(); }"),
        ("src/x/mod.rs", "fn f() { reader.expect(b':')?; }"),
        ("src/clock.rs", "fn f() { OffsetDateTime::now_utc(); }"),
        ("src/config/mod.rs", "fn f() { std::env::var(\"X\"); }"),
        ("src/client/environment.rs", "fn f() { std::env::vars_os(); }"),
    ];
    for (path, case) in cases {
        none(&problems_in(path, case));
    }
}
