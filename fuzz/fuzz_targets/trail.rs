//! What is verified without the vault: checkpoints, proofs, exports, keys. Whatever they say, it is an answer or a refusal, and
//! nothing is believed that nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushvault_fuzz::trail::{Checkpoint, Proof, TrailError, VerifierKey, verify_export};

/// A key that has signed nothing.
const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let key = VerifierKey::parse(KEY).expect("a key");
    if let Ok(other) = VerifierKey::parse(text) {
        assert_eq!(other.to_string(), text.trim());
    }
    for checkpoint in Checkpoint::parse_all(text).unwrap_or_default() {
        assert!(!checkpoint.is_signed_by(&key), "a checkpoint was forged");
        let again = Checkpoint::parse(checkpoint.note()).expect("it was read once");
        assert_eq!(again.size(), checkpoint.size());
    }
    if let Ok(proof) = Proof::parse(text) {
        let again = Proof::parse(&proof.text()).expect("it was read once");
        assert_eq!(again.holds(), proof.holds());
    }
    let lines = || text.lines().map(|line| Ok::<_, TrailError>(line.to_owned()));
    if let Ok(found) = verify_export(lines(), &[], std::slice::from_ref(&key)) {
        assert!(!found.verdict.is_whole(), "an export was forged");
    }
    let _by_its_own_key = verify_export(lines(), &[], &[]);
});
