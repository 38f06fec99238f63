//! What about a credential will make a push fail later, although each of its values is well formed.
//!
//! Only what the values say by themselves is looked at: nobody asks Apple or Google, no signature is verified, and
//! whether a certificate was revoked is not known here. A value that does not parse yields no finding: `pem` refuses it
//! earlier.
//!
//! Push certificates are told by their extensions under Apple's arc 1.2.840.113635.100.6.3, as Apple's Certification
//! Practice Statement for Worldwide Developer Relations (WWDR CPS) lists them: .1 for development, .2 for production,
//! both in a universal certificate; .3 to .6 name topics, such as those of calls, and tell no environment. Limits: an
//! extension does not prove that Apple issued the certificate, and a Pass Type ID certificate has .2 too.

use pushvault_crypto::{Plaintext, Secrets};
use time::OffsetDateTime;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use zeroize::Zeroizing;

use super::credential::SecretMaterial;
use super::pem::first_block;
use super::public_key::PublicKey;
use super::push_service::PushService;
use super::text::iso_8601;
use super::validation::ValidationError;

/// Something about a credential that will make a push fail later, although each value is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The named parameter, which the push service asks for, was not given.
    MissingSecret(&'static str),
    /// The certificate is no longer valid; its last instant.
    CertificateExpired(OffsetDateTime),
    /// The certificate is not valid yet; its first instant.
    CertificateNotYetValid(OffsetDateTime),
    /// The certificate has none of the extensions of a push certificate.
    NotAnApnsCertificate,
    /// The certificate is for the other environment alone.
    WrongEnvironment {
        /// What `Sandbox` has to be for this certificate.
        sandbox: bool,
    },
    /// The private key is not the one that the certificate was made for.
    PairMismatch,
}

impl Finding {
    /// Its name in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingSecret(_) => "missing_secret",
            Self::CertificateExpired(_) => "certificate_expired",
            Self::CertificateNotYetValid(_) => "certificate_not_yet_valid",
            Self::NotAnApnsCertificate => "not_an_apns_certificate",
            Self::WrongEnvironment { .. } => "wrong_environment",
            Self::PairMismatch => "pair_mismatch",
        }
    }

    /// The refusal where findings are refused: the parameter and what to do. Of a certificate it tells dates alone.
    pub fn refusal(self) -> ValidationError {
        let (parameter, message) = match self {
            Self::MissingSecret(parameter) => (
                parameter,
                format!("Cannot create credentials record. '{parameter}' must be present"),
            ),
            Self::CertificateExpired(not_after) => (
                "Certificate",
                could_not_use_certificate(&format!(
                    "it expired on {}; renew it with Apple and send the new one",
                    iso_8601(not_after)
                )),
            ),
            Self::CertificateNotYetValid(not_before) => (
                "Certificate",
                could_not_use_certificate(&format!(
                    "it is not valid before {}; send it again then, or send one that is valid now",
                    iso_8601(not_before)
                )),
            ),
            Self::NotAnApnsCertificate => (
                "Certificate",
                could_not_use_certificate(
                    "it is not a certificate for push messages; send the one that Apple issued for the Apple Push \
                     Notification service, and of a chain that one first",
                ),
            ),
            Self::WrongEnvironment { sandbox } => (
                "Sandbox",
                could_not_use_certificate(if sandbox {
                    "it is for the sandbox only; send Sandbox as true, or a certificate for production"
                } else {
                    "it is for production only; send Sandbox as false, or a certificate for the sandbox"
                }),
            ),
            Self::PairMismatch => (
                "PrivateKey",
                "Could not use private key: it is not the key of this certificate; export the two together, and send \
                 both"
                    .to_owned(),
            ),
        };
        ValidationError::with_message(parameter, message)
    }
}

/// What is wrong at `now` with a credential that has these secrets and no others. The order is always the same: what is
/// missing, then the dates of the certificate, its kind, and the pair; nothing comes twice.
pub fn findings(
    push_service: PushService,
    sandbox: bool,
    secrets: &SecretMaterial,
    now: OffsetDateTime,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = missing_secrets(push_service, secrets).collect();
    if push_service != PushService::Apn {
        return findings;
    }
    // A server sends the first certificate of a chain as its own: that one counts.
    let certificate = secrets.certificate.as_ref().and_then(block);
    let Some((_, leaf)) = certificate
        .as_ref()
        .and_then(|(_, der)| x509_parser::parse_x509_certificate(der).ok())
    else {
        return findings;
    };
    findings.extend(out_of_date(&leaf, now));
    findings.extend(wrong_kind(&leaf, sandbox));
    let private_key = secrets.private_key.as_ref().and_then(block);
    if let Some(of_certificate) = PublicKey::of_certificate(&leaf)
        && let Some(of_private_key) = private_key
            .as_ref()
            .and_then(|(label, der)| PublicKey::of_private_key(label, der))
        && of_certificate.differs_from(&of_private_key)
    {
        findings.push(Finding::PairMismatch);
    }
    findings
}

fn missing_secrets(push_service: PushService, secrets: &SecretMaterial) -> impl Iterator<Item = Finding> {
    let Secrets {
        certificate,
        private_key,
        api_key,
        secret,
    } = secrets;
    let given = [
        ("Certificate", certificate),
        ("PrivateKey", private_key),
        ("ApiKey", api_key),
        ("Secret", secret),
    ];
    push_service
        .secret_parameters()
        .iter()
        .filter(move |parameter| !given.iter().any(|(name, value)| name == *parameter && value.is_some()))
        .map(|parameter| Finding::MissingSecret(parameter))
}

/// RFC 5280, section 4.1.2.5: a certificate is valid at both of its dates.
fn out_of_date(leaf: &X509Certificate<'_>, now: OffsetDateTime) -> Option<Finding> {
    let validity = leaf.validity();
    let (not_before, not_after) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    if now > not_after {
        Some(Finding::CertificateExpired(not_after))
    } else if now < not_before {
        Some(Finding::CertificateNotYetValid(not_before))
    } else {
        None
    }
}

const PUSH: Oid<'static> = oid!(1.2.840.113635.100.6.3);
const PUSH_DEVELOPMENT: Oid<'static> = oid!(1.2.840.113635.100.6.3.1);
const PUSH_PRODUCTION: Oid<'static> = oid!(1.2.840.113635.100.6.3.2);

fn wrong_kind(leaf: &X509Certificate<'_>, sandbox: bool) -> Option<Finding> {
    let has = |wanted: &Oid<'_>| leaf.extensions().iter().any(|extension| extension.oid == *wanted);
    if !leaf
        .extensions()
        .iter()
        .any(|extension| extension.oid.starts_with(&PUSH))
    {
        return Some(Finding::NotAnApnsCertificate);
    }
    match (has(&PUSH_DEVELOPMENT), has(&PUSH_PRODUCTION)) {
        (true, false) if !sandbox => Some(Finding::WrongEnvironment { sandbox: true }),
        (false, true) if sandbox => Some(Finding::WrongEnvironment { sandbox: false }),
        _ => None,
    }
}

fn could_not_use_certificate(remedy: &str) -> String {
    format!("Could not use certificate: {remedy}")
}

fn block(stored: &Plaintext) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    first_block(std::str::from_utf8(stored.expose_secret()).ok()?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use data_encoding::BASE64;
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    use super::super::pem::{parse_certificate, parse_private_key};
    use super::*;

    // What each is: tests/data/make-apns-fixtures.sh. All but the first two are valid from 2026-01-01 to 2027-01-31.
    const NOT_APNS: &str = include_str!("../../tests/data/apns-pair.pem");
    const EXPIRED: &str = include_str!("../../tests/data/apns-expired.pem");
    const DEVELOPMENT: &str = include_str!("../../tests/data/apns-development.pem");
    const PRODUCTION: &str = include_str!("../../tests/data/apns-production.pem");
    const UNIVERSAL: &str = include_str!("../../tests/data/apns-universal.pem");
    const VOIP: &str = include_str!("../../tests/data/apns-voip.pem");
    const ELLIPTIC: &str = include_str!("../../tests/data/apns-ec.pem");

    const NOW: OffsetDateTime = datetime!(2026-06-15 12:00 UTC);
    const SECOND: Duration = Duration::SECOND;

    fn pair(certificate: &str, private_key: &str) -> SecretMaterial {
        Secrets {
            certificate: Some(Plaintext::from(parse_certificate(certificate).unwrap().to_string())),
            private_key: Some(Plaintext::from(parse_private_key(private_key).unwrap().to_string())),
            ..Secrets::default()
        }
    }

    fn of_pair(certificate: &str, private_key: &str, now: OffsetDateTime) -> Vec<Finding> {
        findings(PushService::Apn, false, &pair(certificate, private_key), now)
    }

    fn message(finding: Finding) -> String {
        finding.refusal().to_string()
    }

    fn codes(findings: Vec<Finding>) -> Vec<&'static str> {
        findings.into_iter().map(Finding::code).collect()
    }

    #[test]
    fn a_credential_without_its_secrets_is_incomplete_decision_1() {
        let missing = |push_service| findings(push_service, false, &Secrets::default(), NOW);
        let [certificate, private_key, api_key, secret] =
            ["Certificate", "PrivateKey", "ApiKey", "Secret"].map(Finding::MissingSecret);
        assert_eq!(missing(PushService::Apn), [certificate, private_key]);
        assert_eq!(missing(PushService::Gcm), [api_key]);
        assert_eq!(missing(PushService::Fcm), [secret]);
        assert_eq!(
            message(secret),
            "Cannot create credentials record. 'Secret' must be present"
        );
        assert_eq!(private_key.refusal().parameter, "PrivateKey");
        let mut without_key = pair(EXPIRED, EXPIRED);
        without_key.private_key = None;
        let found = findings(PushService::Apn, false, &without_key, NOW);
        assert_eq!(codes(found), ["missing_secret", "certificate_expired"]);
    }

    #[test]
    fn a_credential_with_its_secrets_is_complete_decision_1() {
        // Only APNs has certificates to look at.
        let mut secrets = pair(NOT_APNS, EXPIRED);
        secrets.secret = Some(Plaintext::from("given".to_owned()));
        assert_eq!(findings(PushService::Fcm, false, &secrets, NOW), []);
        secrets.api_key = secrets.secret.take();
        assert_eq!(findings(PushService::Gcm, false, &secrets, NOW), []);
        assert_eq!(of_pair(UNIVERSAL, UNIVERSAL, NOW), []);
    }

    #[test]
    fn a_certificate_is_valid_at_both_of_its_dates_and_not_beyond_decision_5() {
        let (from, until) = (datetime!(2025-02-03 05:06:07 UTC), datetime!(2026-03-04 05:06:07 UTC));
        let at = |now| of_pair(EXPIRED, EXPIRED, now);
        assert_eq!(at(from - SECOND), [Finding::CertificateNotYetValid(from)]);
        assert_eq!(at(from), []);
        assert_eq!(at(until), []);
        assert_eq!(at(until + SECOND), [Finding::CertificateExpired(until)]);
        assert_eq!(
            message(Finding::CertificateExpired(until)),
            "Could not use certificate: it expired on 2026-03-04T05:06:07Z; renew it with Apple and send the new one"
        );
        assert!(message(Finding::CertificateNotYetValid(from)).contains("not valid before 2025-02-03T05:06:07Z;"));
    }

    #[test]
    fn a_certificate_fits_the_environments_that_its_extensions_name_decision_5() {
        let needs = |sandbox| vec![Finding::WrongEnvironment { sandbox }];
        let none = vec![Finding::NotAnApnsCertificate];
        let now = datetime!(2026-12-24 00:00 UTC);
        for (fixture, production, sandbox) in [
            (DEVELOPMENT, needs(true), vec![]),
            (PRODUCTION, vec![], needs(false)),
            (UNIVERSAL, vec![], vec![]),
            (ELLIPTIC, vec![], vec![]),
            (VOIP, vec![], vec![]),
            (NOT_APNS, none.clone(), none),
        ] {
            let secrets = pair(fixture, fixture);
            assert_eq!(findings(PushService::Apn, false, &secrets, now), production);
            assert_eq!(findings(PushService::Apn, true, &secrets, now), sandbox);
        }
        let [to_true, to_false] = [true, false].map(|sandbox| Finding::WrongEnvironment { sandbox });
        assert!(message(to_true).contains("for the sandbox only; send Sandbox as true"));
        assert!(message(to_false).contains("for production only; send Sandbox as false"));
        assert_eq!(
            (to_true.refusal().parameter, to_true.code()),
            ("Sandbox", "wrong_environment")
        );
    }

    #[test]
    fn the_key_of_another_certificate_is_a_mismatch_decision_5() {
        for (certificate, private_key) in [(UNIVERSAL, ELLIPTIC), (PRODUCTION, UNIVERSAL), (UNIVERSAL, PRODUCTION)] {
            assert_eq!(of_pair(certificate, private_key, NOW), [Finding::PairMismatch]);
        }
        assert_eq!(Finding::PairMismatch.refusal().parameter, "PrivateKey");
    }

    #[test]
    fn of_a_chain_the_first_certificate_counts_decision_5() {
        let chain = format!("{UNIVERSAL}{EXPIRED}{NOT_APNS}");
        assert_eq!(of_pair(&chain, UNIVERSAL, NOW), []);
        let reversed = format!("{NOT_APNS}{UNIVERSAL}");
        assert_eq!(
            codes(of_pair(&reversed, UNIVERSAL, NOW)),
            ["certificate_not_yet_valid", "not_an_apns_certificate", "pair_mismatch"]
        );
    }

    #[test]
    fn a_refusal_tells_nothing_of_a_certificate_but_its_dates_decision_5() {
        let mut found = of_pair(NOT_APNS, EXPIRED, NOW);
        found.extend(of_pair(EXPIRED, NOT_APNS, NOW));
        for text in found.into_iter().map(message) {
            for told in ["example", "TEST0TEAM0", "Apple Push Services", "MII"] {
                assert!(!text.contains(told), "{text}");
            }
        }
    }

    /// What the bytes say, as PEM and as they are.
    fn of_bytes(certificate: &[u8], label: &str, private_key: &[u8]) -> Vec<Finding> {
        let armour = |label: &str, der: &[u8]| {
            let base64 = BASE64.encode(der);
            Plaintext::from(format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n"))
        };
        let find = |certificate, private_key| {
            let secrets = Secrets {
                certificate: Some(certificate),
                private_key: Some(private_key),
                ..Secrets::default()
            };
            findings(PushService::Apn, false, &secrets, NOW)
        };
        let bare = find(
            Plaintext::new(certificate.to_vec()),
            Plaintext::new(private_key.to_vec()),
        );
        assert_eq!(bare, [], "these are not PEM");
        find(armour("CERTIFICATE", certificate), armour(label, private_key))
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            certificate in any::<Vec<u8>>(), private_key in any::<Vec<u8>>(), label in "(RSA |EC |)PRIVATE KEY"
        ) {
            prop_assert_eq!(of_bytes(&certificate, &label, &private_key), []);
        }

        #[test]
        fn no_altered_byte_makes_it_panic(
            fixture in prop::sample::select(vec![UNIVERSAL, ELLIPTIC]),
            at in any::<prop::sample::Index>(),
            value in any::<u8>(),
            to in any::<prop::sample::Index>(),
        ) {
            let der = |clean: &str| first_block(clean).unwrap().1;
            let mut certificate = der(&parse_certificate(fixture).unwrap());
            let mut private_key = der(&parse_private_key(fixture).unwrap());
            for der in [&mut certificate, &mut private_key] {
                let place = at.index(der.len());
                der.splice(place..=place, [value]);
            }
            of_bytes(&certificate, "PRIVATE KEY", &private_key);
            let cut = |der: &[u8]| der.split_at(to.index(der.len())).0.to_vec();
            of_bytes(&certificate, "PRIVATE KEY", &cut(&private_key));
            prop_assert_eq!(of_bytes(&cut(&certificate), "PRIVATE KEY", &private_key), []);
        }
    }
}
