//! Tokens, their stored hashes, and the memo of verified ones.

use std::collections::BTreeSet;

use proptest::prelude::*;
use pushvault_crypto::{Argon2Cost, CryptoError, MacKey, generate_token, hash_token, random, verify_token};
use secrecy::ExposeSecret;

const TOKEN: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const CHEAP: Argon2Cost = Argon2Cost {
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
};
/// The hash of [`TOKEN`] by Argon2id of the Python package `cryptography`.
const FROZEN: &str = "$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg\
                      $1s8IhPJ0Jtb1oATvO49JhhFE9CZ3ML/YoK4yA4cRcnM";

#[test]
fn a_token_is_32_characters_of_the_alphabet() {
    for _ in 0..200 {
        let token = generate_token().unwrap();
        let token = token.expose_secret();
        assert_eq!(token.len(), 32);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

#[test]
fn no_character_is_left_out_or_preferred() {
    const TOKENS: u32 = 4_000;
    let mut counts = [0_u32; 128];
    for _ in 0..TOKENS {
        for byte in generate_token().unwrap().expose_secret().bytes() {
            counts[usize::from(byte)] += 1;
        }
    }
    // 2065 are expected of each, with a deviation of 45: ten deviations never happen by chance,
    // while a remainder modulo 62 would put eight characters at 2500 and is caught.
    let expected = TOKENS * 32 / 62;
    let counts: Vec<u32> = counts.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(counts.len(), 62);
    for count in counts {
        assert!(count.abs_diff(expected) < 450, "{count} instead of {expected}");
    }
}

#[test]
fn tokens_and_random_bytes_do_not_repeat() {
    let tokens: BTreeSet<String> = (0..1000)
        .map(|_| generate_token().unwrap().expose_secret().to_owned())
        .collect();
    assert_eq!(tokens.len(), 1000);
    let mut draws = [[0; 16]; 2];
    for draw in &mut draws {
        random::fill(draw).unwrap();
    }
    assert_ne!(draws[0], draws[1]);
}

#[test]
fn the_right_token_is_true_and_any_other_false() {
    let phc = hash_token(TOKEN, CHEAP).unwrap();
    assert_eq!(verify_token(TOKEN, &phc), Ok(true));
    for wrong in [
        "",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
        "abcdefghijklmnopqrstuvwxyz012345",
    ] {
        assert_eq!(verify_token(wrong, &phc), Ok(false), "{wrong}");
    }
    for position in 0..TOKEN.len() {
        let mut wrong = TOKEN.to_owned();
        wrong.replace_range(position..=position, "_");
        assert_eq!(verify_token(&wrong, &phc), Ok(false), "{wrong}");
    }
}

#[test]
fn the_stored_hash_says_how_it_was_made_and_does_not_say_the_token() {
    let cost = Argon2Cost {
        memory_kib: 128,
        iterations: 3,
        parallelism: 2,
    };
    let phc = hash_token(TOKEN, cost).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=128,t=3,p=2$"), "{phc}");
    assert!(!phc.contains(TOKEN));
    let parts: Vec<usize> = phc.split('$').skip(4).map(str::len).collect();
    assert_eq!(parts, [22, 43], "16 bytes of salt and 32 of hash");
    assert_ne!(
        phc,
        hash_token(TOKEN, cost).unwrap(),
        "every hash has a salt of its own"
    );
}

#[test]
fn a_hash_made_elsewhere_is_understood() {
    assert_eq!(verify_token(TOKEN, FROZEN), Ok(true));
    assert_eq!(verify_token("another token", FROZEN), Ok(false));
}

#[test]
fn a_hash_with_one_character_changed_is_not_accepted() {
    let start = FROZEN.rfind('$').unwrap() + 1;
    for position in start..FROZEN.len() {
        let mut changed = FROZEN.to_owned();
        let other = if &FROZEN[position..=position] == "A" { "B" } else { "A" };
        changed.replace_range(position..=position, other);
        assert_ne!(verify_token(TOKEN, &changed), Ok(true), "{changed}");
    }
}

#[test]
fn what_is_not_an_argon2id_phc_string_is_malformed() {
    let salt_and_hash = &FROZEN["$argon2id$v=19$m=64,t=2,p=1".len()..];
    let (salt, hash) = salt_and_hash[1..].split_once('$').unwrap();
    let malformed = [
        String::new(),
        "$".to_owned(),
        TOKEN.to_owned(),
        "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        FROZEN.replace("argon2id", "argon2i"),
        FROZEN.replace("argon2id", "argon2d"),
        FROZEN.replace("v=19", "v=16"),
        FROZEN.replace("$v=19", ""),
        FROZEN.replace("m=64,", ""),
        FROZEN.replace(",t=2", ""),
        FROZEN.replace(",p=1", ""),
        FROZEN.replace("p=1", "p=1,keyid=AAAA"),
        FROZEN.replace("p=1", "p=1,p=1"),
        FROZEN.replace("m=64", "m=-64"),
        FROZEN.replace("m=64", "m=4294967296"),
        FROZEN.replace("m=64", "m=0x40"),
        format!("$argon2id$v=19$m=64,t=2,p=1${salt}"),
        format!("$argon2id$v=19$m=64,t=2,p=1$c2FsdA${hash}"),
        format!("$argon2id$v=19$m=64,t=2,p=1${salt}${}", &hash[..24]),
        format!("{FROZEN}$"),
        format!("{FROZEN}\n"),
        format!("{FROZEN}="),
        format!(" {FROZEN}"),
    ];
    for phc in malformed {
        let verified = verify_token(TOKEN, &phc);
        assert_eq!(verified, Err(CryptoError::MalformedTokenHash), "{phc:?}");
    }
}

#[test]
fn an_absurd_cost_is_refused_when_hashing_and_when_a_row_asks_for_it() {
    let costs = [
        Argon2Cost {
            memory_kib: Argon2Cost::MAX_TOKEN_MEMORY_KIB + 1,
            ..CHEAP
        },
        Argon2Cost {
            memory_kib: u32::MAX,
            ..CHEAP
        },
        Argon2Cost {
            iterations: Argon2Cost::MAX_ITERATIONS + 1,
            ..CHEAP
        },
        Argon2Cost {
            iterations: u32::MAX,
            ..CHEAP
        },
        Argon2Cost {
            memory_kib: 1024,
            parallelism: Argon2Cost::MAX_PARALLELISM + 1,
            ..CHEAP
        },
        Argon2Cost { memory_kib: 7, ..CHEAP },
        Argon2Cost {
            memory_kib: 0,
            iterations: 0,
            parallelism: 0,
        },
    ];
    for cost in costs {
        let hashed = hash_token(TOKEN, cost);
        assert_eq!(hashed, Err(CryptoError::CostOutOfRange), "{cost:?}");
        let Argon2Cost {
            memory_kib,
            iterations,
            parallelism,
        } = cost;
        let asked = format!("m={memory_kib},t={iterations},p={parallelism}");
        let verified = verify_token(TOKEN, &FROZEN.replace("m=64,t=2,p=1", &asked));
        assert_eq!(verified, Err(CryptoError::CostOutOfRange), "{cost:?}");
    }
}

#[test]
fn a_memo_digest_depends_on_the_key_and_on_where_the_parts_end() {
    let key = MacKey::generate().unwrap();
    assert_eq!(key.digest(&[b"AC1", b"token"]), key.digest(&[b"AC1", b"token"]));
    let other = MacKey::generate().unwrap();
    assert_ne!(key.digest(&[b"AC1", b"token"]), other.digest(&[b"AC1", b"token"]));
    let lists: [&[&[u8]]; 7] = [
        &[],
        &[b""],
        &[b"", b""],
        &[b"AC1token"],
        &[b"AC1", b"token"],
        &[b"AC1t", b"oken"],
        &[b"token", b"AC1"],
    ];
    let digests: BTreeSet<[u8; 32]> = lists.into_iter().map(|parts| key.digest(parts)).collect();
    assert_eq!(digests.len(), lists.len());
    assert_eq!(format!("{key:?}"), "MacKey([REDACTED])");
}

#[test]
fn a_digest_is_verified_whole_or_cut_to_no_fewer_than_16_bytes() {
    let key = MacKey::generate().unwrap();
    let parts: [&[u8]; 2] = [b"AC1", b"token"];
    let digest = key.digest(&parts);
    for length in 0..=32 {
        let cut = &digest[..length];
        assert_eq!(key.verify(&parts, cut), length >= 16, "{length} bytes");
        assert!(!key.verify(&[b"AC1t", b"oken"], cut), "{length} bytes of other parts");
        for bit in 0..length * 8 {
            let mut altered = cut.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(&parts, &altered), "{length} bytes, bit {bit}");
        }
    }
    assert!(!key.verify(&parts, &[digest.as_slice(), &[0]].concat()), "33 bytes");
    assert!(!MacKey::generate().unwrap().verify(&parts, &digest));
}

proptest! {
    #[test]
    fn garbage_as_a_hash_is_an_error(phc in ".{0,120}") {
        prop_assert!(verify_token(TOKEN, &phc).is_err());
    }

    #[test]
    fn garbage_that_begins_well_is_false_or_an_error(
        keep in 0_usize..FROZEN.len(),
        tail in "[$a-z0-9=,+/]{0,60}",
    ) {
        let phc = format!("{}{tail}", &FROZEN[..keep]);
        prop_assert!(phc == FROZEN || verify_token(TOKEN, &phc) != Ok(true));
    }
}
