//! The query of a list. A token that nobody here made is refused; the key is the only way to one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pushvault::domain::page::{PageInput, PageRequest, Position};
use pushvault::domain::sid::AccountSid;
use pushvault_crypto::MacKey;

static KEY: LazyLock<MacKey> = LazyLock::new(|| MacKey::generate().expect("randomness"));

fuzz_target!(|parts: (Option<String>, Option<String>, Option<String>)| {
    let (page_size, page, page_token) = parts;
    let input = PageInput {
        page_size,
        page,
        page_token,
    };
    let account_sid = AccountSid::parse("AC00000000000000000000000000000001").expect("a SID");
    if let Ok(request) = PageRequest::parse(&input, 1000, &KEY, &account_sid) {
        assert!((1..=1000).contains(&request.size));
        assert_eq!(request.position, Position::First, "a token was forged");
    }
});
