//! Where secrets are touched, and that nothing prints them.

use std::collections::BTreeMap;

use syn::visit::Visit;

use crate::source::{SourceFile, all_files, count_in, files};

/// The files that look into a secret, and how many times each does. A new place is a change to this table.
const EXPOSED: [(&str, usize); 12] = [
    ("src/cli/account.rs", 2),
    ("src/cli/api_key.rs", 1),
    ("src/cli/recovery.rs", 1),
    ("src/config/rules.rs", 2),
    ("src/dev/environment_file.rs", 1),
    ("src/domain/credential.rs", 5),
    ("src/domain/finding.rs", 1),
    ("src/kms/mod.rs", 1),
    ("src/kms/transit.rs", 2),
    ("src/service/authn.rs", 4),
    ("src/service/credentials.rs", 1),
    ("src/store/connect.rs", 1),
];

#[test]
fn secrets_are_looked_into_only_where_the_table_says() {
    let expected: BTreeMap<String, usize> = EXPOSED
        .into_iter()
        .map(|(path, count)| (path.to_owned(), count))
        .collect();
    assert_eq!(count_in(&files("src"), "expose_secret()"), expected);
}

/// The files that take the bytes of a key of the kernel, and how many times each does. A new place is a change to this
/// table.
const KEYS_EXPOSED: [(&str, usize); 0] = [];

#[test]
fn the_bytes_of_keys_are_taken_only_where_the_table_says() {
    let expected: BTreeMap<String, usize> = KEYS_EXPOSED
        .into_iter()
        .map(|(path, count)| (path.to_owned(), count))
        .collect();
    assert_eq!(count_in(&files("src"), ".expose()"), expected);
}

/// Types that hold a secret. A type with one of them in a field holds one too.
const SECRET_TYPES: [&str; 17] = [
    "AccountKey",
    "CredentialInput",
    "Key256",
    "KeyEncryptionKey",
    "MacKey",
    "PackedKey",
    "Plaintext",
    "RecoveryKey",
    "RootSeed",
    "SecretBox",
    "SecretMaterial",
    "SecretString",
    "Secrets",
    "SigningKey",
    "StaticSecret",
    "TokenHashes",
    "Zeroizing",
];

#[test]
fn no_type_that_holds_a_secret_can_be_printed_or_serialised() {
    let mut visitor = SecretTypes {
        file: String::new(),
        checked: 0,
    };
    for file in all_files() {
        visitor.file.clone_from(&file.path);
        visitor.visit_file(&file.syntax);
    }
    assert!(visitor.checked >= 10, "the types that hold secrets were not found");
}

struct SecretTypes {
    file: String,
    checked: usize,
}

impl SecretTypes {
    fn check(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], fields: &syn::Fields) {
        let mut types = TypeNames(Vec::new());
        fields.iter().for_each(|field| types.visit_type(&field.ty));
        if !types.0.iter().any(|name| SECRET_TYPES.contains(&name.as_str())) {
            return;
        }
        self.checked += 1;
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("derive"))
        {
            attribute
                .parse_nested_meta(|derived| {
                    for forbidden in ["Debug", "Display", "Serialize"] {
                        assert!(
                            !derived.path.is_ident(forbidden),
                            "{}: {name} holds a secret and derives {forbidden}",
                            self.file
                        );
                    }
                    Ok(())
                })
                .unwrap();
        }
    }
}

impl Visit<'_> for SecretTypes {
    fn visit_item_struct(&mut self, item: &syn::ItemStruct) {
        self.check(&item.ident, &item.attrs, &item.fields);
    }

    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        for variant in &item.variants {
            self.check(&item.ident, &item.attrs, &variant.fields);
        }
    }
}

struct TypeNames(Vec<String>);

impl Visit<'_> for TypeNames {
    fn visit_path_segment(&mut self, segment: &syn::PathSegment) {
        self.0.push(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}

#[test]
fn a_span_never_records_a_functions_arguments() {
    for file in files("src") {
        for line in file.product_text().lines().filter(|line| line.contains("#[instrument")) {
            assert!(line.contains("skip_all"), "{}: {line}", file.path);
        }
    }
}

#[test]
fn nothing_formats_an_error_or_a_value_with_debug_for_the_log() {
    // `?value` in a tracing macro, and `{:?}`, print fields that Display leaves out: a database error's detail quotes rows.
    for file in files("src") {
        for line in file
            .product_text()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            assert!(!line.contains(":?}") && !line.contains("= ?"), "{}: {line}", file.path);
        }
    }
}

#[test]
fn a_principal_is_made_by_authentication_and_an_operators_scope_by_the_operator() {
    let sources = files("src");
    let places: [(&str, &[&str]); 3] = [
        ("Principal::Account(record", &["src/service/authn.rs"]),
        ("AccountScope {\n            account_sid", &["src/domain/principal.rs"]),
        (
            "for_operator(",
            &[
                "src/cli/",
                "src/dev/mod.rs",
                "src/domain/principal.rs",
                "src/service/verify.rs",
            ],
        ),
    ];
    for (needle, allowed) in places {
        let found: Vec<&SourceFile> = sources
            .iter()
            .filter(|file| file.product_text().contains(needle))
            .collect();
        assert!(!found.is_empty(), "nobody writes {needle} any more");
        for file in found {
            assert!(
                allowed.iter().any(|place| file.path.starts_with(place)),
                "{} writes {needle}",
                file.path
            );
        }
    }
}
