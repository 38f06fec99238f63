//! A text that may be a SID: what is taken is written again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault::domain::sid::{AccountSid, ApiKeySid, CredentialSid, SID_LENGTH};

fuzz_target!(|text: &str| {
    let taken = [
        AccountSid::parse(text).map(|sid| sid.to_string()),
        ApiKeySid::parse(text).map(|sid| sid.to_string()),
        CredentialSid::parse(text).map(|sid| sid.to_string()),
    ];
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    assert!(taken.len() <= 1, "one text is a SID of two kinds");
    for sid in taken {
        assert_eq!(sid, text);
        assert_eq!(sid.len(), SID_LENGTH);
    }
});
