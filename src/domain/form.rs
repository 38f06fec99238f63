//! One component of `application/x-www-form-urlencoded` (WHATWG URL, section 5.1), into a buffer that is wiped.

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

/// Decodes a name or a value. A broken escape stands for itself, as browsers and Twilio have it. The buffer never grows,
/// so that no copy is left behind.
pub fn decode_component(encoded: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match HEXLOWER_PERMISSIVE.decode(&[*high, *low]).as_deref() {
                Ok([byte]) => {
                    rest = after;
                    *byte
                }
                _ => b'%',
            },
            _ => *first,
        });
    }
    decoded
}
