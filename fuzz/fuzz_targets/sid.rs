//! A text that may be a SID: it is taken exactly when it has the two letters and 32 digits, and is then what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault_fuzz::domain::sid::{AccountSid, ApiKeySid, CredentialSid};

fuzz_target!(|text: &str| {
    let digits = text.chars().skip(2);
    let has_digits = digits.clone().count() == 32 && digits.clone().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
    for (prefix, taken) in [
        ("AC", AccountSid::parse(text).map(|sid| sid.to_string())),
        ("SK", ApiKeySid::parse(text).map(|sid| sid.to_string())),
        ("CR", CredentialSid::parse(text).map(|sid| sid.to_string())),
    ] {
        assert_eq!(
            taken.ok().as_deref(),
            (has_digits && text.starts_with(prefix)).then_some(text)
        );
    }
});
