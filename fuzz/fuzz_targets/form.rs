//! A form body: decoding never grows it, and what an encoder writes comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault::domain::form::{decode_component, pairs};

fuzz_target!(|form: &[u8]| {
    let decoded: usize = pairs(form).map(|(name, value)| name.len() + value.len()).sum();
    assert!(decoded <= form.len());

    let encoded: String = form.iter().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(decode_component(encoded.as_bytes()).as_slice(), form);
    let body = format!("Secret={encoded}&Type=fcm");
    let mut pairs = pairs(body.as_bytes());
    let (name, value) = pairs.next().expect("the first pair");
    assert_eq!((name.as_slice(), value.as_slice()), (b"Secret".as_slice(), form));
});
