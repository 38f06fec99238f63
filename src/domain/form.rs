//! Forms and queries: `application/x-www-form-urlencoded` (WHATWG URL, section 5.1), into buffers that are wiped.

use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use zeroize::Zeroizing;

/// The pairs of a form, decoded, in order.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)> {
    form.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            let value = halves.next().unwrap_or_default();
            (decode_component(name), decode_component(value))
        })
}

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

/// Encodes a value so that it may stand in a query.
pub fn encode_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.extend(["%", &HEXUPPER.encode(&[byte])]),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(form: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs(form.as_bytes())
            .map(|(name, value)| (text(&name), text(&value)))
            .collect()
    }

    #[test]
    fn what_the_python_and_the_node_sdk_send_is_the_same() {
        let expected = vec![("FriendlyName".to_owned(), "My cert é &+".to_owned())];
        assert_eq!(decoded("FriendlyName=My+cert+%C3%A9+%26%2B"), expected);
        assert_eq!(decoded("FriendlyName=My%20cert%20%c3%a9%20%26%2B"), expected);
    }

    #[test]
    fn odd_forms_lose_nothing() {
        assert_eq!(
            decoded("a=1=2&&b&=c&d=%zz%4"),
            [("a", "1=2"), ("b", ""), ("", "c"), ("d", "%zz%4")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_itself_and_keeps_apart_from_the_rest(text in any::<String>()) {
            let encoded = encode_component(&text);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
            let decoded = decode_component(encoded.as_bytes());
            prop_assert_eq!(decoded.as_slice(), text.as_bytes());
        }

        #[test]
        fn no_bytes_make_the_decoder_panic_or_grow(form in proptest::collection::vec(any::<u8>(), 0..200)) {
            let total: usize = pairs(&form).map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(total <= form.len());
        }
    }
}
