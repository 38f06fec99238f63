//! A pasted certificate or key: what is taken is clean, is taken again unchanged, and can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault::domain::pem::{first_block, parse_certificate, parse_private_key};

fuzz_target!(|text: &str| {
    if let Ok(clean) = parse_certificate(text) {
        assert_eq!(*parse_certificate(&clean).expect("a clean certificate parses"), *clean);
        assert!(first_block(&clean).is_some());
    }
    if let Ok(clean) = parse_private_key(text) {
        assert_eq!(*parse_private_key(&clean).expect("a clean key parses"), *clean);
        assert!(first_block(&clean).is_some());
    }
});
