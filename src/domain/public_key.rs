//! The public halves of a certificate and of a private key, to tell whether the two are a pair.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use x509_parser::asn1_rs::oid;
use x509_parser::certificate::X509Certificate;

/// The public half of a key, as far as its encoding tells it.
pub enum PublicKey<'a> {
    /// Modulus and exponent.
    Rsa(RsaPublicKeyRef<'a>),
    /// The point, where there is one.
    Ec(Option<Point<'a>>),
    /// The object identifier of an algorithm that no push certificate has.
    Other(Vec<u8>),
}

const RSA: &[u8] = &oid!(raw 1.2.840.113549.1.1.1);
const EC: &[u8] = &oid!(raw 1.2.840.10045.2.1);

impl<'a> PublicKey<'a> {
    /// That of a certificate.
    pub fn of_certificate(leaf: &'a X509Certificate<'_>) -> Option<Self> {
        let info = leaf.public_key();
        let key = info.subject_public_key.data.as_ref();
        match info.algorithm.algorithm.as_bytes() {
            RSA => RsaPublicKeyRef::try_from(key).ok().map(Self::Rsa),
            EC => Some(Self::Ec(Point::read(key))),
            other => Some(Self::Other(other.to_vec())),
        }
    }

    /// That of a private key under its PEM label.
    pub fn of_private_key(label: &str, der: &'a [u8]) -> Option<Self> {
        match label {
            "RSA PRIVATE KEY" => Self::of_pkcs1(der),
            "EC PRIVATE KEY" => Self::of_sec1(der),
            "PRIVATE KEY" => {
                let info = PrivateKeyInfoRef::try_from(der).ok()?;
                match info.algorithm.oid.as_bytes() {
                    RSA => Self::of_pkcs1(info.private_key.as_bytes()),
                    EC => Self::of_sec1(info.private_key.as_bytes()),
                    other => Some(Self::Other(other.to_vec())),
                }
            }
            _ => None,
        }
    }

    /// Whether the two are certainly not the same key.
    ///
    /// An EC private key may come without its point, though OpenSSL writes it. To work the point out would take the
    /// arithmetic of the curve, which is not done here: such a key fits every certificate with an EC key.
    pub fn differs_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rsa(one), Self::Rsa(other)) => one != other,
            (Self::Ec(Some(one)), Self::Ec(Some(other))) => one != other,
            (Self::Ec(_), Self::Ec(_)) => false,
            (Self::Other(one), Self::Other(other)) => one != other,
            _ => true,
        }
    }

    fn of_pkcs1(der: &'a [u8]) -> Option<Self> {
        let key = RsaPrivateKeyRef::try_from(der).ok()?;
        Some(Self::Rsa(RsaPublicKeyRef {
            modulus: key.modulus,
            public_exponent: key.public_exponent,
        }))
    }

    fn of_sec1(der: &'a [u8]) -> Option<Self> {
        let key = EcPrivateKey::try_from(der).ok()?;
        Some(Self::Ec(key.public_key.and_then(Point::read)))
    }
}

/// A point of an elliptic curve, known by x and the parity of y, and so the same whether or not its encoding was the
/// compressed one (SEC 1, section 2.3.3).
#[derive(PartialEq, Eq)]
pub struct Point<'a> {
    x: &'a [u8],
    y_is_odd: bool,
}

impl<'a> Point<'a> {
    fn read(encoded: &'a [u8]) -> Option<Self> {
        match encoded {
            [form @ (2 | 3), x @ ..] => Some(Self {
                x,
                y_is_odd: *form == 3,
            }),
            [4, x_and_y @ ..] => {
                let (x, y) = x_and_y.split_at_checked(x_and_y.len() / 2)?;
                Some(Self {
                    x,
                    y_is_odd: y.last()? % 2 == 1,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::pem::{first_block, parse_certificate, parse_private_key};
    use super::*;

    // What each is: tests/data/make-apns-fixtures.sh.
    const EXPIRED: &str = include_str!("../../tests/data/apns-expired.pem");
    const UNIVERSAL: &str = include_str!("../../tests/data/apns-universal.pem");
    const UNIVERSAL_PKCS1: &str = include_str!("../../tests/data/apns-universal-pkcs1-key.pem");
    const ELLIPTIC: &str = include_str!("../../tests/data/apns-ec.pem");
    const ELLIPTIC_SEC1: &str = include_str!("../../tests/data/apns-ec-sec1-key.pem");
    const ELLIPTIC_COMPRESSED: &str = include_str!("../../tests/data/apns-ec-compressed-key.pem");
    const ELLIPTIC_WITHOUT_POINT: &str = include_str!("../../tests/data/apns-ec-key-without-point.pem");
    const OTHER_RSA: &str = include_str!("../../tests/data/rsa-pkcs1-key.pem");
    const OTHER_ELLIPTIC: &str = include_str!("../../tests/data/ec-sec1-key.pem");
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\n\
                           MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                           -----END PRIVATE KEY-----\n";

    fn differ(certificate: &str, private_key: &str) -> bool {
        let certificate = parse_certificate(certificate).unwrap();
        let (_, der) = first_block(&certificate).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
        let private_key = parse_private_key(private_key).unwrap();
        let (label, der) = first_block(&private_key).unwrap();
        let of_private_key = PublicKey::of_private_key(label, &der).unwrap();
        PublicKey::of_certificate(&leaf).unwrap().differs_from(&of_private_key)
    }

    #[test]
    fn every_key_but_the_certificates_own_differs_decision_5() {
        let pairs = [EXPIRED, UNIVERSAL, ELLIPTIC];
        for (certificate_of, certificate) in pairs.iter().enumerate() {
            for (key_of, private_key) in pairs.iter().enumerate() {
                assert_eq!(
                    differ(certificate, private_key),
                    certificate_of != key_of,
                    "certificate {certificate_of}, key {key_of}"
                );
            }
        }
        assert!(differ(UNIVERSAL, OTHER_RSA) && differ(ELLIPTIC, OTHER_RSA));
        assert!(differ(UNIVERSAL, OTHER_ELLIPTIC) && differ(ELLIPTIC, OTHER_ELLIPTIC));
        assert!(differ(UNIVERSAL, ED25519) && differ(ELLIPTIC, ED25519));
    }

    #[test]
    fn a_key_is_the_same_in_every_form_decision_5() {
        assert!(!differ(UNIVERSAL, UNIVERSAL_PKCS1));
        assert!(!differ(ELLIPTIC, ELLIPTIC_SEC1));
        assert!(!differ(ELLIPTIC, ELLIPTIC_COMPRESSED));
    }

    #[test]
    fn an_ec_key_without_its_point_differs_from_rsa_alone_decision_5() {
        assert!(!differ(ELLIPTIC, ELLIPTIC_WITHOUT_POINT));
        assert!(differ(UNIVERSAL, ELLIPTIC_WITHOUT_POINT));
    }

    #[test]
    fn two_other_algorithms_differ_and_one_does_not() {
        let other = |identifier: &[u8]| PublicKey::Other(identifier.to_vec());
        assert!(other(&[1]).differs_from(&other(&[2])));
        assert!(!other(&[1]).differs_from(&other(&[1])));
    }

    #[test]
    fn a_point_is_the_same_compressed_or_not_and_another_with_the_other_y() {
        let point = |encoded: &'static [u8]| Point::read(encoded);
        assert!(point(&[4, 7, 8, 1, 3]) == point(&[3, 7, 8]));
        assert!(point(&[4, 7, 8, 1, 4]) == point(&[2, 7, 8]));
        assert!(point(&[2, 7, 8]) != point(&[3, 7, 8]));
        assert!(point(&[2, 7, 8]) != point(&[2, 7, 9]));
    }

    #[test]
    fn what_is_no_point_is_none() {
        for encoded in [[].as_slice(), &[0], &[4], &[5, 1, 2]] {
            assert!(Point::read(encoded).is_none());
        }
    }
}
