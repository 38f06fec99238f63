//! What the tests start from.

use pushvault_crypto::{
    AccountKey, AccountKeyContext, DeploymentId, EncryptionContext, Envelope, KeyEncryptionKey, Plaintext, Secrets,
    WrappedKey, seal,
};

use crate::reference;

/// The four columns in the order of the specification.
pub(crate) const COLUMNS: [&str; 4] = ["certificate", "private_key", "api_key", "secret"];

/// The account key version that the tests seal with.
pub(crate) const ACCOUNT_KEY_VERSION: u32 = 3;

/// An encryption context that owns its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) deployment_id: DeploymentId,
    pub(crate) account_sid: String,
    pub(crate) credential_sid: String,
    pub(crate) push_service: String,
    pub(crate) sandbox: bool,
    pub(crate) version: u32,
}

impl Place {
    pub(crate) fn sample() -> Self {
        Self {
            deployment_id: DeploymentId::from_bytes(*b"deployment-one--"),
            account_sid: "AC00000000000000000000000000000001".to_owned(),
            credential_sid: "CR00000000000000000000000000000001".to_owned(),
            push_service: "apn".to_owned(),
            sandbox: false,
            version: 1,
        }
    }

    pub(crate) fn context(&self) -> EncryptionContext<'_> {
        EncryptionContext {
            deployment_id: &self.deployment_id,
            account_sid: &self.account_sid,
            credential_sid: &self.credential_sid,
            push_service: &self.push_service,
            sandbox: self.sandbox,
            version: self.version,
        }
    }
}

/// An account key of known bytes, which only a wrap made outside the crate can bring in.
pub(crate) fn known_account_key(bytes: [u8; 32]) -> AccountKey {
    let kek_bytes = [0x4B; 32];
    let kek = KeyEncryptionKey::from_slice(&kek_bytes).unwrap();
    let deployment_id = DeploymentId::from_bytes([9; 16]);
    let aad = reference::account_key_aad(&deployment_id, "AC", 1, &reference::kek_id(&kek_bytes));
    let nonce = [5; 12];
    let wrapped = [nonce.to_vec(), reference::gcm_seal(&kek_bytes, &nonce, &aad, &bytes)].concat();
    let context = AccountKeyContext {
        deployment_id: &deployment_id,
        account_sid: "AC",
        version: 1,
    };
    kek.unwrap_account_key(&WrappedKey::parse(&wrapped).unwrap(), &context)
        .unwrap()
}

/// Secrets whose columns hold their own name and `mark`.
pub(crate) fn secrets_of(columns: &[&str], mark: &str) -> Secrets {
    let column = |name: &str| {
        columns
            .contains(&name)
            .then(|| Plaintext::from(format!("{name} of {mark}")))
    };
    Secrets {
        certificate: column("certificate"),
        private_key: column("private_key"),
        api_key: column("api_key"),
        secret: column("secret"),
    }
}

/// An envelope with the given columns, sealed in `place`.
pub(crate) fn sealed(key: &AccountKey, place: &Place, columns: &[&str], mark: &str) -> Envelope {
    let secrets = secrets_of(columns, mark);
    seal(key, ACCOUNT_KEY_VERSION, &place.context(), &secrets).unwrap()
}

/// The secrets in the clear, by column.
pub(crate) fn exposed(secrets: &Secrets) -> [Option<Vec<u8>>; 4] {
    [
        &secrets.certificate,
        &secrets.private_key,
        &secrets.api_key,
        &secrets.secret,
    ]
    .map(|column| column.as_ref().map(|text| text.expose_secret().to_vec()))
}

/// The ciphertext of a column, by the column's name.
pub(crate) fn column_mut<'a>(envelope: &'a mut Envelope, name: &str) -> &'a mut Option<Vec<u8>> {
    match name {
        "certificate" => &mut envelope.certificate,
        "private_key" => &mut envelope.private_key,
        "api_key" => &mut envelope.api_key,
        _ => &mut envelope.secret,
    }
}

/// All sixteen sets of columns.
pub(crate) fn column_sets() -> impl Iterator<Item = Vec<&'static str>> {
    (0..16_u8).map(|bits| {
        COLUMNS
            .into_iter()
            .enumerate()
            .filter(|(index, _)| bits >> index & 1 == 1)
            .map(|(_, name)| name)
            .collect()
    })
}
