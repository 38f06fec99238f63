//! AWS KMS, by AWS's own client: `Encrypt` and `Decrypt` with an encryption context.

use std::collections::HashMap;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use pushvault_crypto::PackedKey;
use zeroize::Zeroizing;

use super::error::KmsError;
use super::failure::ProviderFailure;
use super::question::{Binding, Question};
use crate::config::AwsKmsSettings;

/// A key in AWS KMS.
pub(super) struct AwsKms {
    client: Client,
    key_id: String,
}

impl AwsKms {
    pub(super) async fn new(settings: &AwsKmsSettings) -> Result<Self, KmsError> {
        let ring = Provider::Rustls(CryptoMode::Ring);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().tls_provider(ring).build_https())
            // All providers are asked again in the same way.
            .retry_config(RetryConfig::disabled());
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(KmsError::NoWay {
                provider: "aws-kms",
                remedy: "no region is known: give aws_region, or set AWS_REGION".to_owned(),
            });
        }
        Ok(Self {
            client: Client::new(&config),
            key_id: settings.key_id.clone(),
        })
    }

    pub(super) async fn ask(&self, question: Question<'_>, binding: &Binding) -> Result<PackedKey, ProviderFailure> {
        let context: HashMap<_, _> = binding
            .context
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let answer = match question {
            Question::Encrypt(key) => {
                let request = self.client.encrypt().key_id(&self.key_id);
                let request = request
                    .set_encryption_context(Some(context))
                    .plaintext(Blob::new(key.to_vec()));
                request.send().await.map_err(failure)?.ciphertext_blob
            }
            Question::Decrypt(wrapped) => {
                let request = self.client.decrypt().key_id(&self.key_id);
                let request = request
                    .set_encryption_context(Some(context))
                    .ciphertext_blob(Blob::new(wrapped));
                request.send().await.map_err(failure)?.plaintext
            }
        };
        let answer = answer.ok_or(ProviderFailure::Garbled)?;
        Ok(Zeroizing::new(answer.into_inner()))
    }
}

/// What went wrong, by the name that AWS has for it.
fn failure<E>(error: SdkError<E>) -> ProviderFailure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = match &error {
        SdkError::TimeoutError(_) => return ProviderFailure::Late,
        SdkError::ResponseError(_) => return ProviderFailure::Garbled,
        SdkError::ServiceError(refusal) => match refusal.err().code() {
            Some(code) => code.to_owned(),
            // An error without a name is none of AWS's.
            None if refusal.raw().status().is_client_error() => return ProviderFailure::Garbled,
            None => return ProviderFailure::Failing(format!("status {}", refusal.raw().status().as_u16())),
        },
        _ => return ProviderFailure::Unreachable(error.into()),
    };
    if code.len() > 64 || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return ProviderFailure::Garbled;
    }
    match code.as_str() {
        "InvalidCiphertextException" | "IncorrectKeyException" => ProviderFailure::DoesNotUnwrap,
        "NotFoundException" => ProviderFailure::NoKey,
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => ProviderFailure::Denied(code),
        "DisabledException" | "InvalidKeyUsageException" | "KMSInvalidStateException" | "ValidationException" => {
            ProviderFailure::Unusable(code)
        }
        // Such as ThrottlingException, KMSInternalException, DependencyTimeoutException.
        _ => ProviderFailure::Failing(code),
    }
}
