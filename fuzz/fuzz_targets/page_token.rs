//! The query of a list: nobody's token is taken but one that has our MAC, and such a one is written again as it was.
#![no_main]

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use pushvault_crypto::{KeyEncryptionKey, MacKey};
use pushvault_fuzz::domain::page::{List, PageInput, PageRequest, Position, seal_token};
use pushvault_fuzz::domain::sid::AccountSid;

static KEY: LazyLock<MacKey> = LazyLock::new(|| {
    KeyEncryptionKey::from_slice(&[7; 32])
        .and_then(|root_key| root_key.page_token_key())
        .expect("a key")
});

fn parse(page_size: Option<&str>, page: Option<&str>, page_token: Option<&str>) -> Option<PageRequest> {
    let input = PageInput {
        page_size: page_size.map(str::to_owned),
        page: page.map(str::to_owned),
        page_token: page_token.map(str::to_owned),
    };
    PageRequest::parse(&input, 1000, &[&*KEY], List::Credentials, &account_sid()).ok()
}

fn account_sid() -> AccountSid {
    AccountSid::parse("AC00000000000000000000000000000001").expect("a SID")
}

/// The token that a holder of the key could make of any bytes.
fn token_of(body: &[u8]) -> String {
    let account_sid = account_sid();
    let mac = KEY.digest(&[b"pushvault/v1/page-token", account_sid.as_str().as_bytes(), body]);
    BASE64URL_NOPAD.encode(&[body, &mac[..16]].concat())
}

fuzz_target!(|data: &[u8]| {
    // Three parameters, a line each, from somebody who has no key.
    if let Ok(text) = str::from_utf8(data) {
        let mut lines = text.split('\n');
        if let Some(request) = parse(lines.next(), lines.next(), lines.next()) {
            assert!((1..=1000).contains(&request.size));
            assert_eq!(request.position, Position::First, "a token was forged");
        }
    }

    // And the body of a token that has its MAC, whatever it says.
    let token = token_of(data);
    let Some(request) = parse(None, Some("1"), Some(&token)) else {
        return;
    };
    let again = seal_token(&request.position, &KEY, List::Credentials, &account_sid());
    assert_eq!(again, Some(token));
    if let Position::After(row) | Position::Before(row) = &request.position {
        assert_ne!(Position::starting_at(row), Some(Position::After(*row)));
        assert_ne!(Position::ending_at(row), Some(Position::Before(*row)));
    }
});
