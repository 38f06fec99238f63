//! The tree as the rules see it: every Rust file, parsed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// A Rust file of the project.
pub struct SourceFile {
    /// Relative to the root, such as `src/http/edge.rs`.
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
}

impl SourceFile {
    /// The text without the test module at its end.
    pub fn product_text(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap()
    }

    /// The module that the file is, such as `["http", "edge"]`; empty for the root.
    pub fn module(&self) -> Vec<String> {
        let inner = self.path.split_once("src/").unwrap().1.trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") || inner == "lib" || inner == "main" {
            module.pop();
        }
        module
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file under a folder.
pub fn files(folder: &str) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no Rust file under {folder}");
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            SourceFile { path, text, syntax }
        })
        .collect()
}

/// Every Rust file of the workspace.
pub fn all_files() -> Vec<SourceFile> {
    ["src", "crates", "fuzz", "tests"].into_iter().flat_map(files).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Every path that a file's product code names, from `crate`, `self` and `super` resolved to the crate's root; relative
/// ones and those of other crates as they stand.
pub fn named_paths(file: &SourceFile) -> Vec<Vec<String>> {
    let mut names = Names {
        module: file.module(),
        paths: Vec::new(),
    };
    for item in &file.syntax.items {
        if !is_test_module(item) {
            names.visit_item(item);
        }
    }
    names.paths
}

pub fn is_test_module(item: &syn::Item) -> bool {
    let syn::Item::Mod(module) = item else {
        return false;
    };
    module.attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|argument| argument == "test")
    })
}

struct Names {
    module: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl Names {
    fn add(&mut self, segments: &[String]) {
        let mut resolved = Vec::new();
        let mut rest = segments;
        match segments.first().map(String::as_str) {
            Some("crate") => {
                resolved.push("crate".to_owned());
                rest = &segments[1..];
            }
            Some("super" | "self") => {
                let mut base = self.module.clone();
                while let Some("super" | "self") = rest.first().map(String::as_str) {
                    if rest[0] == "super" {
                        base.pop();
                    }
                    rest = &rest[1..];
                }
                resolved.push("crate".to_owned());
                resolved.extend(base);
            }
            _ => {}
        }
        resolved.extend_from_slice(rest);
        self.paths.push(resolved);
    }

    fn add_use(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let mut path = prefix.to_vec();
        match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.add_use(&path, &inner.tree);
            }
            syn::UseTree::Name(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.add(&path);
            }
            syn::UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.add(&path);
            }
            syn::UseTree::Glob(_) => self.add(&path),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(&path, tree)),
        }
    }
}

impl Visit<'_> for Names {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_visibility(&mut self, _: &syn::Visibility) {
        // `pub(super)` names a module and imports nothing.
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&segments);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &syn::Macro) {
        // The arguments of a macro are tokens; their paths are found by their text.
        let text = invocation.tokens.to_string().replace(' ', "");
        for start in ["crate::", "super::"] {
            for (position, _) in text.match_indices(start) {
                let path: String = text[position..]
                    .chars()
                    .take_while(|character| character.is_alphanumeric() || "_:".contains(*character))
                    .collect();
                let segments: Vec<_> = path.split("::").map(str::to_owned).collect();
                self.add(&segments);
            }
        }
        syn::visit::visit_macro(self, invocation);
    }
}

/// How many times a word stands in the product code of each file.
pub fn count_in(files: &[SourceFile], needle: &str) -> BTreeMap<String, usize> {
    files
        .iter()
        .map(|file| {
            let code = file
                .product_text()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let count = code.map(|line| line.matches(needle).count()).sum();
            (file.path.clone(), count)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}
