//! A form body: decoding never grows it, and what an encoder writes comes back.
#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use pushvault_fuzz::domain::form::{decode_component, pairs};

fuzz_target!(|form: &[u8]| {
    let decoded: usize = pairs(form).map(|(name, value)| name.len() + value.len()).sum();
    assert!(decoded <= form.len());

    let mut encoded = String::with_capacity(3 * form.len());
    for byte in form {
        write!(encoded, "%{byte:02X}").expect("a text grows");
    }
    assert_eq!(decode_component(encoded.as_bytes()).as_slice(), form);
    let body = format!("Secret={encoded}&Type=fcm");
    let mut pairs = pairs(body.as_bytes());
    let (name, value) = pairs.next().expect("the first pair");
    assert_eq!((name.as_slice(), value.as_slice()), (b"Secret".as_slice(), form));
    let (name, value) = pairs.next().expect("the second pair");
    assert_eq!(
        (name.as_slice(), value.as_slice()),
        (b"Type".as_slice(), b"fcm".as_slice())
    );
    assert!(pairs.next().is_none());
});
