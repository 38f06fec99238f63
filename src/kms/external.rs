//! A root key that never leaves its provider: what it is asked, how often and how long it is waited for, and that nothing
//! is believed which it did not keep together.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::BoxFuture;
use pushvault_crypto::{
    AccountKey, AccountKeyContext, CryptoError, KekId, MacKey, PackedKey, RootSeed, SigningKey, SigningKeyContext,
    random,
};
use tokio::time::{sleep, timeout};

use super::aws::AwsKms;
use super::error::KmsError;
use super::failure::{ProviderError, ProviderFailure};
use super::question::{Binding, Question};
use super::transit::Transit;
use crate::config::{AwsKmsSettings, TransitSettings};
use crate::domain::root_key::{ExternalProvider, RootKeyRecord};
use crate::metrics::{Metrics, Stopwatch};

/// How often a provider is asked the same.
const TRIES: u32 = 3;

/// How long the pause after the first try is at most; after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A provider and the name of a key there.
pub(super) struct External {
    provider: Provider,
    id: KekId,
    name: String,
    answer_time: Duration,
    metrics: Option<Arc<Metrics>>,
}

enum Provider {
    Transit(Box<Transit>),
    AwsKms(AwsKms),
}

impl External {
    pub(super) fn transit(settings: &TransitSettings) -> Result<Self, KmsError> {
        let TransitSettings {
            namespace, mount, key, ..
        } = settings;
        let name = if namespace.is_empty() {
            format!("{mount}/{key}")
        } else {
            format!("{namespace}/{mount}/{key}")
        };
        Ok(Self {
            provider: Provider::Transit(Box::new(Transit::new(settings)?)),
            id: KekId::external(&["transit", namespace, mount, key]),
            name,
            answer_time: settings.answer_time,
            metrics: None,
        })
    }

    pub(super) async fn aws_kms(settings: &AwsKmsSettings) -> Result<Self, KmsError> {
        Ok(Self {
            provider: Provider::AwsKms(AwsKms::new(settings).await?),
            id: KekId::external(&["aws-kms", &settings.key_id]),
            name: settings.key_id.clone(),
            answer_time: settings.answer_time,
            metrics: None,
        })
    }

    pub(super) fn measure_with(&mut self, metrics: &Arc<Metrics>) {
        self.metrics = Some(Arc::clone(metrics));
    }

    pub(super) fn id(&self) -> &KekId {
        &self.id
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn provider(&self) -> ExternalProvider {
        match self.provider {
            Provider::Transit(_) => ExternalProvider::Transit,
            Provider::AwsKms(_) => ExternalProvider::AwsKms,
        }
    }

    /// Why it is refused where the database knows others.
    pub(super) fn unknown_among(&self, known: &[RootKeyRecord]) -> KmsError {
        let known: Vec<_> = known.iter().map(|record| record.kek_id.as_str()).collect();
        KmsError::UnknownName {
            provider: self.provider().as_str(),
            name: self.name.clone(),
            found: self.id.to_string(),
            known: known.join(", "),
        }
    }

    /// Makes the seed of a key that is used for the first time: the key of page tokens, and the seed wrapped.
    pub(super) async fn new_seed(&self) -> Result<(MacKey, Vec<u8>), KmsError> {
        let seed = RootSeed::generate()?;
        let wrapped = self.wrap_packed(&seed.pack(&self.id)?, &self.of_seed()).await?;
        Ok((seed.page_token_key()?, wrapped))
    }

    /// Opens the seed of a key that was used before.
    pub(super) async fn open_seed(&self, wrapped: &[u8]) -> Result<MacKey, KmsError> {
        let packed = self.unwrap_packed(wrapped, &self.of_seed()).await;
        let seed = packed.and_then(|packed| Ok(RootSeed::unpack(&packed, &self.id)?));
        match seed {
            Err(KmsError::Crypto(CryptoError::Authentication)) => Err(KmsError::AnotherKey {
                provider: self.provider().as_str(),
                name: self.name.clone(),
                kek_id: self.id.to_string(),
            }),
            seed => Ok(seed?.page_token_key()?),
        }
    }

    pub(super) async fn wrap(&self, key: &AccountKey, context: &AccountKeyContext<'_>) -> Result<Vec<u8>, KmsError> {
        let packed = key.pack(context, &self.id)?;
        self.wrap_packed(&packed, &self.of_account_key(context)?).await
    }

    pub(super) async fn unwrap(&self, wrapped: &[u8], context: &AccountKeyContext<'_>) -> Result<AccountKey, KmsError> {
        let packed = self.unwrap_packed(wrapped, &self.of_account_key(context)?).await?;
        Ok(AccountKey::unpack(&packed, context, &self.id)?)
    }

    pub(super) async fn wrap_signing_key(
        &self,
        key: &SigningKey,
        context: &SigningKeyContext<'_>,
    ) -> Result<Vec<u8>, KmsError> {
        let packed = key.pack(context, &self.id)?;
        self.wrap_packed(&packed, &self.of_signing_key(context)?).await
    }

    pub(super) async fn unwrap_signing_key(
        &self,
        wrapped: &[u8],
        context: &SigningKeyContext<'_>,
    ) -> Result<SigningKey, KmsError> {
        let packed = self.unwrap_packed(wrapped, &self.of_signing_key(context)?).await?;
        Ok(SigningKey::unpack(&packed, context, &self.id)?)
    }

    /// Wraps, and believes it only when it unwraps again: what is stored is all that there will be of the key.
    async fn wrap_packed(&self, packed: &PackedKey, binding: &Binding) -> Result<Vec<u8>, KmsError> {
        let wrapped = self.ask(Question::Encrypt(packed), binding).await;
        let wrapped = wrapped.map_err(|failure| self.error(failure))?;
        let again = self.ask(Question::Decrypt(&wrapped), binding).await;
        let is_kept = match again {
            Ok(again) => *again == **packed,
            Err(ProviderFailure::DoesNotUnwrap) => false,
            Err(failure) => return Err(self.error(failure)),
        };
        if is_kept {
            Ok(wrapped.to_vec())
        } else {
            Err(self.error(ProviderFailure::Garbled))
        }
    }

    async fn unwrap_packed(&self, wrapped: &[u8], binding: &Binding) -> Result<PackedKey, KmsError> {
        match self.ask(Question::Decrypt(wrapped), binding).await {
            Err(ProviderFailure::DoesNotUnwrap) => Err(CryptoError::Authentication.into()),
            result => Ok(result.map_err(|failure| self.error(failure))?),
        }
    }

    fn error(&self, failure: ProviderFailure) -> KmsError {
        KmsError::Provider(ProviderError {
            provider: self.provider().as_str(),
            name: self.name.clone(),
            failure,
        })
    }

    /// Asks, and asks again after what may pass, until the time is up.
    async fn ask(&self, question: Question<'_>, binding: &Binding) -> Result<PackedKey, ProviderFailure> {
        let stopwatch = Stopwatch::start();
        let mut last = ProviderFailure::Late;
        let result = match timeout(self.answer_time, self.keep_asking(question, binding, &mut last)).await {
            Ok(result) => result,
            Err(_) => Err(last),
        };
        if let Some(metrics) = &self.metrics {
            let (provider, operation) = (self.provider().as_str(), question.as_str());
            let outcome = result.as_ref().err().map_or("ok", ProviderFailure::as_str);
            let labels = [provider.into(), operation.into(), outcome.into()];
            metrics.kms_requests.of(labels).inc();
            let duration = metrics.kms_request_duration.of([provider.into(), operation.into()]);
            duration.observe(stopwatch.seconds());
        }
        result
    }

    async fn keep_asking(
        &self,
        question: Question<'_>,
        binding: &Binding,
        last: &mut ProviderFailure,
    ) -> Result<PackedKey, ProviderFailure> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.ask_once(question, binding).await {
                Err(failure) if failure.passes() => *last = failure,
                result => return result,
            }
            sleep(jittered(pause)).await;
            pause *= 2;
        }
        self.ask_once(question, binding).await
    }

    /// Half of the time is for one try: one that got lost leaves time for another.
    async fn ask_once(&self, question: Question<'_>, binding: &Binding) -> Result<PackedKey, ProviderFailure> {
        // Boxed, because AWS's client is large and deep, and all that awaits an account key would be as large.
        let asked: BoxFuture<'_, _> = match &self.provider {
            Provider::Transit(transit) => Box::pin(transit.ask(question, binding)),
            Provider::AwsKms(aws) => Box::pin(aws.ask(question, binding)),
        };
        let answer = timeout(self.answer_time / 2, asked).await;
        answer.unwrap_or(Err(ProviderFailure::Late))
    }

    fn of_seed(&self) -> Binding {
        Binding {
            associated_data: RootSeed::associated_data(&self.id),
            context: vec![
                ("pushvault:purpose", "root-seed".to_owned()),
                ("pushvault:kek-id", self.id.to_string()),
            ],
        }
    }

    fn of_signing_key(&self, context: &SigningKeyContext<'_>) -> Result<Binding, CryptoError> {
        Ok(Binding {
            associated_data: context.associated_data(&self.id)?,
            context: vec![
                ("pushvault:purpose", "signing-key".to_owned()),
                (
                    "pushvault:deployment-id",
                    HEXLOWER.encode(context.deployment_id.as_bytes()),
                ),
                ("pushvault:signing-key-id", context.key_id.to_owned()),
                ("pushvault:kek-id", self.id.to_string()),
            ],
        })
    }

    fn of_account_key(&self, context: &AccountKeyContext<'_>) -> Result<Binding, CryptoError> {
        Ok(Binding {
            associated_data: context.associated_data(&self.id)?,
            context: vec![
                ("pushvault:purpose", "account-key".to_owned()),
                (
                    "pushvault:deployment-id",
                    HEXLOWER.encode(context.deployment_id.as_bytes()),
                ),
                ("pushvault:account-sid", context.account_sid.to_owned()),
                ("pushvault:account-key-version", context.version.to_string()),
                ("pushvault:kek-id", self.id.to_string()),
            ],
        })
    }
}

/// Between half of it and all of it, so that replicas which lost a provider at the same moment do not come back at the
/// same moment.
fn jittered(pause: Duration) -> Duration {
    let mut drawn = [u8::MAX];
    // Without randomness the pause is the whole one.
    let _ = random::fill(&mut drawn);
    pause / 2 + pause * u32::from(drawn[0]) / 512
}
