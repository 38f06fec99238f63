//! `pushvault api-key`: the API keys of an account.

use clap::Subcommand;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::operator::{Operator, explain};
use super::output::{Failure, Output};
use crate::config::Settings;
use crate::domain::audit::Action;
use crate::domain::principal::AccountScope;
use crate::domain::right::{Right, Rights};
use crate::domain::sid::{AccountSid, ApiKeySid};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make an API key. Its secret is shown this once.
    Create {
        /// The account's SID.
        #[arg(value_parser = AccountSid::parse)]
        account_sid: AccountSid,
        /// What a person calls it: at most 64 characters.
        #[arg(long)]
        friendly_name: Option<String>,
        /// What it may do, with commas between: credentials:read, credentials:write, audit:read. It never changes; to give
        /// more or less, make another key.
        #[arg(long, value_name = "RIGHTS", value_delimiter = ',', value_parser = Right::parse,
            default_value = "credentials:read,credentials:write")]
        rights: Vec<Right>,
        #[command(flatten)]
        output: Output,
    },
    /// List the API keys of an account, the revoked ones too.
    List {
        /// The account's SID.
        #[arg(value_parser = AccountSid::parse)]
        account_sid: AccountSid,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke an API key: it is refused from the next request on.
    Revoke {
        /// The account's SID.
        #[arg(value_parser = AccountSid::parse)]
        account_sid: AccountSid,
        /// The key's SID: SK and 32 hexadecimal digits.
        #[arg(value_parser = ApiKeySid::parse)]
        api_key_sid: ApiKeySid,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) async fn run(settings: &Settings, verb: Verb) -> Result<(), Failure> {
    let operator = Operator::open(settings).await?;
    match verb {
        Verb::Create {
            account_sid,
            friendly_name,
            rights,
            output,
        } => {
            let rights: Rights = rights.into_iter().collect();
            let scope = AccountScope::for_operator(account_sid.clone());
            let result = operator
                .vault
                .create_api_key(&operator.context, &scope, friendly_name.as_deref(), rights)
                .await;
            let new = operator
                .audited(Action::ApiKeyCreate, Some(&account_sid), None, result)
                .await?;
            output.format.print(&json!({
                "api_key_sid": new.api_key_sid,
                "account_sid": account_sid,
                "rights": rights,
                "secret": new.secret.expose_secret(),
            }))?;
        }
        Verb::List { account_sid, output } => {
            let scope = AccountScope::for_operator(account_sid.clone());
            let keys = operator
                .vault
                .api_keys(&scope)
                .await
                .map_err(|error| explain(error, Some(&account_sid)))?;
            output.format.print(&json!(keys))?;
        }
        Verb::Revoke {
            account_sid,
            api_key_sid,
            output,
        } => {
            let scope = AccountScope::for_operator(account_sid.clone());
            let result = operator
                .vault
                .revoke_api_key(&operator.context, &scope, &api_key_sid)
                .await;
            operator
                .audited(
                    Action::ApiKeyRevoke,
                    Some(&account_sid),
                    Some(api_key_sid.as_str()),
                    result,
                )
                .await?;
            output
                .format
                .print(&json!({ "api_key_sid": api_key_sid, "status": "revoked" }))?;
        }
    }
    Ok(())
}
