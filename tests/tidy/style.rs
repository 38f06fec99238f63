//! The shape of files and functions.

use syn::spanned::Spanned as _;
use syn::visit::Visit;

use crate::source::{all_files, files, read};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_read() {
    for file in all_files() {
        assert!(file.text.starts_with("//!"), "{} does not begin with //!", file.path);
        let lines = file.text.lines().count();
        assert!(lines <= MAX_FILE_LINES, "{} has {lines} lines", file.path);
    }
}

#[test]
fn every_function_fits_a_screen() {
    struct Functions(String);

    impl Functions {
        fn check(&self, signature: &syn::Signature, block: &syn::Block) {
            let lines = block.span().end().line - signature.span().start().line + 1;
            assert!(
                lines <= MAX_FUNCTION_LINES,
                "{}: {} has {lines} lines",
                self.0,
                signature.ident
            );
        }
    }

    impl Visit<'_> for Functions {
        fn visit_item_fn(&mut self, function: &syn::ItemFn) {
            self.check(&function.sig, &function.block);
            syn::visit::visit_item_fn(self, function);
        }

        fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
            self.check(&function.sig, &function.block);
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    for file in all_files() {
        Functions(file.path.clone()).visit_file(&file.syntax);
    }
}

#[test]
fn queries_are_checked_at_compile_time() {
    for file in files("src") {
        for forbidden in [
            "sqlx::query(",
            "sqlx::query_as(",
            "sqlx::raw_sql(",
            "AssertSqlSafe",
            "QueryBuilder",
        ] {
            assert!(!file.text.contains(forbidden), "{} uses {forbidden}", file.path);
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["unimpl", "emented!"].concat(),
    ];
    for file in all_files() {
        for mark in &marks {
            assert!(!file.text.contains(mark.as_str()), "{} holds {mark}", file.path);
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        assert!(read(manifest).contains("unsafe_code = \"forbid\""), "{manifest}");
    }
    for manifest in ["Cargo.toml", "crates/pushvault-crypto/Cargo.toml"] {
        assert!(
            read(manifest).contains("[lints]\nworkspace = true"),
            "{manifest} does not take the lints"
        );
    }
}
