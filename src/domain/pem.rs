//! Certificates and private keys as people paste them: repaired first, then parsed, then written again as clean PEM.
//!
//! What a paste goes through on its way here (env files, shells, consoles, forms) leaves typical damage: literal `\n`,
//! lost newlines, spaces for newlines, CRLF, text around the armour, a form encoding too many, `+` turned into a space.
//! Each is undone only where the result then parses as DER, so a repair never guesses.
//!
//! Formats: PEM (RFC 7468), certificates X.509 (RFC 5280), keys PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC 1 (RFC 5915).

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::form::decode_component;
use super::validation::ValidationError;

const CERTIFICATE: &str = "CERTIFICATE";
const LINE_LENGTH: usize = 64;

/// Reads the parameter `Certificate`: one certificate, or a chain with the leaf first.
pub fn parse_certificate(text: &str) -> Result<Zeroizing<String>, ValidationError> {
    let repaired = repair(text);
    let mut clean = Zeroizing::new(String::with_capacity(repaired.len() * 2));
    for block in blocks(&repaired).filter(|block| block.label == CERTIFICATE) {
        let der = block
            .der(|der| x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty()))
            .ok_or_else(|| {
                could_not_parse_certificate(
                    "what stands between BEGIN CERTIFICATE and END CERTIFICATE is not a whole X.509 certificate; \
                     copy the file again, and send it with --data-urlencode if you use curl",
                )
            })?;
        write_block(&mut clean, CERTIFICATE, &der);
    }
    if clean.is_empty() {
        return Err(could_not_parse_certificate(if repaired.contains("PRIVATE KEY-----") {
            "it holds a private key; send that as PrivateKey, and here the PEM that begins with \
                 -----BEGIN CERTIFICATE-----"
        } else {
            "send PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, both lines included"
        }));
    }
    Ok(clean)
}

/// Reads the parameter `PrivateKey`: one key, not encrypted.
pub fn parse_private_key(text: &str) -> Result<Zeroizing<String>, ValidationError> {
    let repaired = repair(text);
    let Some(block) = blocks(&repaired).find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err(could_not_parse_private_key(
            if repaired.contains("-----BEGIN CERTIFICATE-----") {
                "it holds a certificate; send that as Certificate, and here the PEM that begins with \
                 -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
            } else {
                "send PEM, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----, both lines included"
            },
        ));
    };
    if block.label == "ENCRYPTED PRIVATE KEY" || block.body.contains("ENCRYPTED") {
        return Err(could_not_parse_private_key(
            "it is encrypted with a passphrase; decrypt it first with `openssl pkey -in KEY.pem -out PLAIN.pem`",
        ));
    }
    let der = block
        .der(|der| match block.label {
            "PRIVATE KEY" => pkcs8::PrivateKeyInfoRef::try_from(der).is_ok(),
            "RSA PRIVATE KEY" => pkcs1::RsaPrivateKeyRef::try_from(der).is_ok(),
            "EC PRIVATE KEY" => sec1::EcPrivateKey::try_from(der).is_ok(),
            _ => false,
        })
        .ok_or_else(|| {
            could_not_parse_private_key(
                "what stands between the BEGIN and END lines is not a whole PKCS#8, PKCS#1 or SEC 1 private key; \
                 copy the file again, and send it with --data-urlencode if you use curl",
            )
        })?;
    let mut clean = Zeroizing::new(String::with_capacity(repaired.len() * 2));
    write_block(&mut clean, block.label, &der);
    Ok(clean)
}

/// The label and the DER of the first block of text that one of the functions above wrote.
pub fn first_block(clean: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let block = blocks(clean).next()?;
    Some((block.label, block.der(|_| true)?))
}

fn could_not_parse_certificate(remedy: &str) -> ValidationError {
    ValidationError::with_message("Certificate", format!("Could not parse certificate: {remedy}"))
}

fn could_not_parse_private_key(remedy: &str) -> ValidationError {
    ValidationError::with_message("PrivateKey", format!("Could not parse private key: {remedy}"))
}

/// Undoes what no PEM text can hold: a second form encoding, and newlines written as backslash-n.
fn repair(text: &str) -> Zeroizing<String> {
    // Base64 and armour hold no `%`: one says that the client encoded the value before its library did.
    let once = if text.contains('%') {
        Zeroizing::new(String::from_utf8_lossy(&decode_component(text.as_bytes())).into_owned())
    } else {
        Zeroizing::new(text.to_owned())
    };
    Zeroizing::new(once.replace("\\r", "").replace("\\n", "\n"))
}

/// One `-----BEGIN label-----` … `-----END label-----` and what stands between.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    /// The decoded body, once it satisfies `accepts`: first with all white space left out, then with spaces inside a
    /// line read as the `+` that an unescaped form post turns into them.
    fn der(&self, accepts: impl Fn(&[u8]) -> bool) -> Option<Zeroizing<Vec<u8>>> {
        let without_white_space: Zeroizing<String> = Zeroizing::new(self.body.split_whitespace().collect());
        let with_plus = || -> Zeroizing<String> {
            Zeroizing::new(
                self.body
                    .lines()
                    .map(str::trim)
                    .flat_map(str::chars)
                    .map(|character| if character == ' ' { '+' } else { character })
                    .collect(),
            )
        };
        let decode = |base64: &str| {
            BASE64
                .decode(base64.as_bytes())
                .map(Zeroizing::new)
                .ok()
                .filter(|der| accepts(der))
        };
        decode(&without_white_space).or_else(|| decode(&with_plus()))
    }
}

/// The blocks of a text, in order; whatever stands outside them is passed over.
fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after_begin) = rest.split_once("-----BEGIN ")?;
        let (label, after_label) = after_begin.split_once("-----")?;
        let (body, after_end) = after_label.split_once("-----END ")?;
        rest = after_end;
        Some(Block { label, body })
    })
}

fn write_block(output: &mut String, label: &str, der: &[u8]) {
    let base64 = Zeroizing::new(BASE64.encode(der));
    output.push_str("-----BEGIN ");
    output.push_str(label);
    output.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(LINE_LENGTH).unwrap_or((rest, ""));
        output.push_str(line);
        output.push('\n');
        rest = tail;
    }
    output.push_str("-----END ");
    output.push_str(label);
    output.push_str("-----\n");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What happens to PEM on its way, by name.
    type Damage<'a> = (&'a str, &'a dyn Fn(&str) -> String);

    const PAIR: &str = include_str!("../../tests/data/apns-pair.pem");
    const ENCRYPTED: &str = include_str!("../../tests/data/encrypted-key.pem");
    const PKCS1: &str = include_str!("../../tests/data/rsa-pkcs1-key.pem");
    const SEC1: &str = include_str!("../../tests/data/ec-sec1-key.pem");

    fn certificate() -> String {
        parse_certificate(PAIR).unwrap().to_string()
    }

    fn private_key() -> String {
        parse_private_key(PAIR).unwrap().to_string()
    }

    #[test]
    fn text_outside_the_armour_is_left_out() {
        assert!(PAIR.contains("Bag Attributes"), "the fixture has such text");
        assert!(certificate().starts_with("-----BEGIN CERTIFICATE-----\nMII"));
        assert!(certificate().ends_with("-----END CERTIFICATE-----\n"));
        assert!(private_key().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    }

    #[test]
    fn every_typical_damage_is_repaired_to_the_same_text() {
        let encode = |text: &str| {
            text.bytes()
                .map(|byte| match byte {
                    b' ' => "+".to_owned(),
                    b if b.is_ascii_alphanumeric() || b == b'-' => char::from(b).to_string(),
                    b => format!("%{b:02X}"),
                })
                .collect::<String>()
        };
        let damages: [Damage<'_>; 8] = [
            ("literal backslash-n", &|pem| pem.replace('\n', "\\n")),
            ("literal backslash-r-backslash-n", &|pem| pem.replace('\n', "\\r\\n")),
            ("no newlines", &|pem| pem.replace('\n', "")),
            ("spaces for newlines", &|pem| pem.replace('\n', " ")),
            ("CRLF", &|pem| pem.replace('\n', "\r\n")),
            ("no last newline", &|pem| pem.trim_end().to_owned()),
            ("form-encoded twice", &|pem| encode(pem)),
            ("plus turned into space", &|pem| pem.replace('+', " ")),
        ];
        assert!(
            certificate().contains('+') && private_key().contains('+'),
            "the fixture must show the damage"
        );
        for (name, damage) in damages {
            assert_eq!(
                *parse_certificate(&damage(&certificate())).unwrap(),
                certificate(),
                "{name}"
            );
            assert_eq!(
                *parse_private_key(&damage(&private_key())).unwrap(),
                private_key(),
                "{name}"
            );
        }
    }

    #[test]
    fn all_three_key_formats_are_taken() {
        for key in [PKCS1, SEC1] {
            let clean = parse_private_key(key).unwrap();
            assert_eq!(clean.trim(), key.split_at(key.rfind("-----BEGIN").unwrap()).1.trim());
        }
    }

    #[test]
    fn an_encrypted_key_is_refused_and_the_message_says_so() {
        let refused = parse_private_key(ENCRYPTED).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("Could not parse private key: it is encrypted")
        );
        let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                           -----END RSA PRIVATE KEY-----\n";
        assert!(
            parse_private_key(traditional)
                .unwrap_err()
                .to_string()
                .contains("encrypted")
        );
    }

    #[test]
    fn a_swapped_pair_is_refused_and_the_message_says_where_each_belongs() {
        let refused = parse_certificate(&private_key()).unwrap_err();
        assert_eq!(refused.parameter, "Certificate");
        assert!(refused.to_string().contains("send that as PrivateKey"), "{refused}");
        let refused = parse_private_key(&certificate()).unwrap_err();
        assert_eq!(refused.parameter, "PrivateKey");
        assert!(refused.to_string().contains("send that as Certificate"), "{refused}");
    }

    #[test]
    fn a_truncated_or_altered_body_is_refused() {
        let cut = certificate().replace(certificate().lines().nth(3).unwrap(), "");
        assert!(parse_certificate(&cut).is_err());
        let wrong_label = private_key().replace("PRIVATE KEY", "RSA PRIVATE KEY");
        assert!(parse_private_key(&wrong_label).is_err());
    }

    #[test]
    fn a_refusal_never_repeats_what_was_sent() {
        let refused = parse_private_key("hunter2-canary").unwrap_err().to_string();
        assert!(!refused.contains("canary"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "(-----(BEGIN|END) (CERTIFICATE|PRIVATE KEY)-----|[%+\\\\n =A-Za-z0-9/]|\\PC){0,60}") {
            let _ = parse_certificate(&text);
            let _ = parse_private_key(&text);
        }
    }
}
