//! The parameters of a body, as a table: what each is called, what may stand in it, where it goes. The extractor and the
//! OpenAPI document both read it.

use secrecy::SecretString;

use crate::domain::credential::CredentialInput;

/// One parameter of a create or an update.
pub(in crate::http) struct Parameter {
    /// As the client spells it.
    pub(in crate::http) name: &'static str,
    pub(in crate::http) description: &'static str,
    pub(in crate::http) kind: ParameterKind,
    pub(super) put: fn(&mut CredentialInput, &str),
}

/// What may stand in a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum ParameterKind {
    /// One of the push services.
    PushService,
    /// Text that is answered again.
    Text,
    /// `true` or `false`.
    Boolean,
    /// Text that is never answered.
    Secret,
}

/// All of them.
pub(in crate::http) static PARAMETERS: [Parameter; 7] = [
    Parameter {
        name: "Type",
        description: "The service that the credential signs in to, in any case. It never changes: an update may repeat it.",
        kind: ParameterKind::PushService,
        put: |input, text| input.push_service = Some(text.to_owned()),
    },
    Parameter {
        name: "FriendlyName",
        description: "What a person calls it: at most 64 characters. An empty one clears it on update.",
        kind: ParameterKind::Text,
        put: |input, text| input.friendly_name = Some(text.to_owned()),
    },
    Parameter {
        name: "Certificate",
        description: "apn only: the certificate in PEM, or a chain with the leaf first.",
        kind: ParameterKind::Secret,
        put: |input, text| input.certificate = Some(SecretString::from(text)),
    },
    Parameter {
        name: "PrivateKey",
        description: "apn only: the private key in PEM, not encrypted.",
        kind: ParameterKind::Secret,
        put: |input, text| input.private_key = Some(SecretString::from(text)),
    },
    Parameter {
        name: "Sandbox",
        description: "apn only: whether it is for the sandbox. For other types it has no effect.",
        kind: ParameterKind::Boolean,
        put: |input, text| input.sandbox = Some(text.to_owned()),
    },
    Parameter {
        name: "ApiKey",
        description: "gcm only: the API key.",
        kind: ParameterKind::Secret,
        put: |input, text| input.api_key = Some(SecretString::from(text)),
    },
    Parameter {
        name: "Secret",
        description: "fcm only: the service account's JSON file as it is, or a server key.",
        kind: ParameterKind::Secret,
        put: |input, text| input.secret = Some(SecretString::from(text)),
    },
];
