//! HKDF with SHA-256.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroize;

use crate::error::CryptoError;

/// Derives `output` from the key `ikm` for the use that `info` names.
///
/// Formula: `PRK = HMAC-SHA-256(0^32, ikm)`, `output = HKDF-Expand(PRK, info, len(output))`.
/// Standard: RFC 5869, without a salt, which section 3.1 allows and uniformly random input needs
/// none. Limits: `ikm` must be a key, not a passphrase; at most 255 · 32 bytes of output.
pub(crate) fn hkdf_sha256(ikm: &[u8], info: &[u8], output: &mut [u8]) -> Result<(), CryptoError> {
    let (mut prk, hkdf) = Hkdf::<Sha256>::extract(None, ikm);
    prk.as_mut_slice().zeroize();
    hkdf.expand(info, output).map_err(|_| CryptoError::KeyLength)
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn agrees_with_every_saltless_wycheproof_vector() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/wycheproof/hkdf_sha256_no_salt.json")).unwrap();
        let tests = file["tests"].as_array().unwrap();
        for test in tests {
            let bytes = |name: &str| HEXLOWER.decode(test[name].as_str().unwrap().as_bytes()).unwrap();
            let expected = bytes("okm");
            let mut output = vec![0; expected.len()];
            hkdf_sha256(&bytes("ikm"), &bytes("info"), &mut output).unwrap();
            assert_eq!(output, expected, "tcId {}", test["tcId"]);
        }
        assert_eq!(tests.len(), 23, "the file of vectors has changed");
    }

    #[test]
    fn agrees_with_the_saltless_test_case_of_rfc_5869() {
        let mut output = [0; 42];
        hkdf_sha256(&[0x0b; 22], b"", &mut output).unwrap();
        assert_eq!(
            HEXLOWER.encode(&output),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
             9d201395faa4b61a96c8"
        );
    }

    #[test]
    fn refuses_more_output_than_the_standard_allows() {
        let mut output = vec![0; 255 * 32 + 1];
        assert_eq!(hkdf_sha256(&[1; 32], b"", &mut output), Err(CryptoError::KeyLength));
    }
}
