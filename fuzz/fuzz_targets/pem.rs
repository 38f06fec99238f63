//! A pasted certificate or key: what is taken is clean, is taken again unchanged, and can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault_crypto::{Plaintext, Secrets};
use pushvault_fuzz::domain::finding::findings;
use pushvault_fuzz::domain::pem::{first_block, parse_certificate, parse_private_key};
use pushvault_fuzz::domain::push_service::PushService;
use time::macros::datetime;

fuzz_target!(|text: &str| {
    let certificate = parse_certificate(text).ok();
    if let Some(clean) = &certificate {
        assert_eq!(*parse_certificate(clean).expect("a clean certificate parses"), **clean);
        assert!(first_block(clean).is_some());
    }
    let private_key = parse_private_key(text).ok();
    if let Some(clean) = &private_key {
        assert_eq!(*parse_private_key(clean).expect("a clean key parses"), **clean);
        assert!(first_block(clean).is_some());
    }
    let plaintext = |text: &str| Plaintext::from(text.to_owned());
    let secrets = Secrets {
        certificate: certificate.as_ref().map(|clean| plaintext(clean)),
        private_key: private_key.as_ref().map(|clean| plaintext(clean)),
        ..Secrets::default()
    };
    for sandbox in [false, true] {
        let _ = findings(PushService::Apn, sandbox, &secrets, datetime!(2026-02-03 04:05:06 UTC));
    }
});
