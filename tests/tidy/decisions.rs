//! Every decision of the wire contract is the name of a test.

use std::collections::BTreeSet;

use syn::visit::Visit;

use crate::source::files;

/// The decisions are numbered from 1 to this.
const LAST_DECISION: u32 = 32;

#[test]
fn every_decision_of_the_contract_has_a_test_that_is_named_after_it() {
    let mut tests = Tests(Vec::new());
    for folder in ["src", "tests"] {
        for file in files(folder) {
            tests.visit_file(&file.syntax);
        }
    }
    assert!(tests.0.len() > 100, "the tests were not found");
    let named: BTreeSet<u32> = tests.0.iter().flat_map(|name| decisions(name)).collect();
    let all: BTreeSet<u32> = (1..=LAST_DECISION).collect();
    let missing: Vec<_> = all.difference(&named).collect();
    assert!(missing.is_empty(), "no test is named after the decisions {missing:?}");
    let unknown: Vec<_> = named.difference(&all).collect();
    assert!(unknown.is_empty(), "the contract has no decisions {unknown:?}");
}

#[test]
fn the_decisions_in_a_name_are_understood() {
    assert_eq!(decisions("a_thing_is_so_decision_6"), [6]);
    assert_eq!(decisions("a_thing_is_so_decision_6_and_7"), [6, 7]);
    assert_eq!(decisions("refusals_decisions_3_13_and_23"), [3, 13, 23]);
    assert!(decisions("of_512_decisions_none").is_empty());
    assert!(decisions("http_405_is_answered").is_empty());
}

/// The numbers at the end of a test's name, after the last `decision` or `decisions`.
fn decisions(name: &str) -> Vec<u32> {
    let words: Vec<_> = name.split('_').collect();
    let Some(begin) = words.iter().rposition(|word| matches!(*word, "decision" | "decisions")) else {
        return Vec::new();
    };
    words[begin + 1..]
        .iter()
        .filter(|word| **word != "and")
        .map_while(|word| word.parse().ok())
        .collect()
}

/// The names of functions with `#[test]` or `#[tokio::test]`.
struct Tests(Vec<String>);

impl Visit<'_> for Tests {
    fn visit_item_fn(&mut self, function: &syn::ItemFn) {
        let is_test = function.attrs.iter().any(|attribute| {
            let last = attribute.path().segments.last();
            last.is_some_and(|segment| segment.ident == "test")
        });
        if is_test {
            self.0.push(function.sig.ident.to_string());
        }
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_macro(&mut self, invocation: &syn::Macro) {
        // Tests of properties stand in a macro, as tokens.
        let text = invocation.tokens.to_string();
        for rest in text.split("# [test]").skip(1) {
            let name = rest.split_once("fn ").and_then(|(_, rest)| rest.split(' ').next());
            self.0.extend(name.map(str::to_owned));
        }
    }
}
