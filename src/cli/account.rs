//! `pushvault account`: accounts and their auth tokens.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;
use time::OffsetDateTime;

use super::instant::instant;
use super::kek::Rate;
use super::operator::{Operator, explain};
use super::output::{Failure, Format, Output, line};
use super::progress::Teller;
use crate::config::Settings;
use crate::domain::account::AccountStatus;
use crate::domain::audit::Action;
use crate::domain::principal::AccountScope;
use crate::domain::sid::AccountSid;
use crate::service::{Destruction, Progress, TokenRotation};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make an account. Its auth token is shown this once.
    Create {
        /// What a person calls it: at most 64 characters.
        #[arg(long)]
        friendly_name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// List the accounts.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Show one account.
    Show {
        #[command(flatten)]
        account: Account,
    },
    /// Refuse every call of an account, with 403 and code 20005, until it is activated again.
    Suspend {
        #[command(flatten)]
        account: Account,
    },
    /// Let the calls of a suspended account in again.
    Activate {
        #[command(flatten)]
        account: Account,
    },
    /// Destroy the keys of a suspended account, and with them every secret that it ever had. The first time this says what
    /// would be destroyed, and a code; with the code it does it and prints a signed statement; after that, the statement of
    /// the day.
    Destroy {
        #[command(flatten)]
        account: Account,
        /// The code that was printed.
        #[arg(long, value_name = "CODE")]
        confirm: Option<String>,
    },
    /// Make a new auth token, shown this once. The present one stays valid until --finish.
    RotateToken {
        #[command(flatten)]
        account: Account,
        /// The old tokens are invalid at once: for a token that leaked.
        #[arg(long, conflicts_with = "finish")]
        revoke_old: bool,
        /// End a roll-over: only the newest token stays valid. Makes no new one.
        #[arg(long)]
        finish: bool,
    },
    /// Make a new key of an account, wrap every credential under it, and destroy the old one. Callers notice nothing.
    RotateKey {
        #[command(flatten)]
        accounts: Accounts,
        /// Make no new key of an account whose key was made at this time or later (RFC 3339, such as
        /// 2026-11-26T08:00:00Z), and only finish what was begun: the same command again goes on where it was interrupted.
        #[arg(long, value_name = "TIME", value_parser = instant)]
        made_before: Option<OffsetDateTime>,
        #[command(flatten)]
        rate: Rate,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct Account {
    /// The account's SID: AC and 32 hexadecimal digits.
    #[arg(value_parser = AccountSid::parse)]
    account_sid: AccountSid,
    #[command(flatten)]
    output: Output,
}

/// One account, or all.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Accounts {
    /// The account's SID: AC and 32 hexadecimal digits.
    #[arg(value_parser = AccountSid::parse)]
    account_sid: Option<AccountSid>,
    /// Every account, one after the other.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(settings: &Settings, verb: Verb) -> Result<(), Failure> {
    let operator = Operator::open(settings).await?;
    match verb {
        Verb::Create { friendly_name, output } => create(&operator, friendly_name.as_deref(), output.format).await,
        Verb::List { output } => Ok(output.format.print(&json!(operator.vault.accounts().await?))?),
        Verb::Show { account } => show(&operator, &account).await,
        Verb::Suspend { account } => set_status(&operator, &account, AccountStatus::Suspended).await,
        Verb::Activate { account } => set_status(&operator, &account, AccountStatus::Active).await,
        Verb::Destroy { account, confirm } => destroy(&operator, &account, confirm.as_deref()).await,
        Verb::RotateToken {
            account,
            revoke_old,
            finish,
        } => {
            let rotation = match (revoke_old, finish) {
                (true, _) => TokenRotation::Replace,
                (_, true) => TokenRotation::Finish,
                _ => TokenRotation::Begin,
            };
            rotate_token(&operator, &account, rotation).await
        }
        Verb::RotateKey {
            accounts,
            made_before,
            rate,
            output,
        } => rotate_key(&operator, accounts, made_before, rate.rate, output.format).await,
    }
}

async fn create(operator: &Operator, friendly_name: Option<&str>, format: Format) -> Result<(), Failure> {
    let result = operator.vault.create_account(&operator.context, friendly_name).await;
    let new = operator.audited(Action::AccountCreate, None, None, result).await?;
    format.print(&json!({
        "account_sid": new.account_sid,
        "auth_token": new.auth_token.expose_secret(),
    }))?;
    Ok(())
}

async fn show(operator: &Operator, account: &Account) -> Result<(), Failure> {
    let scope = AccountScope::for_operator(account.account_sid.clone());
    let shown = operator
        .vault
        .account(&scope)
        .await
        .map_err(|error| explain(error, Some(&account.account_sid)))?;
    Ok(account.output.format.print(&json!(shown))?)
}

async fn set_status(operator: &Operator, account: &Account, status: AccountStatus) -> Result<(), Failure> {
    let action = match status {
        AccountStatus::Active => Action::AccountActivate,
        AccountStatus::Suspended | AccountStatus::Destroyed => Action::AccountSuspend,
    };
    let sid = &account.account_sid;
    let scope = AccountScope::for_operator(sid.clone());
    let result = operator
        .vault
        .set_account_status(&operator.context, &scope, status)
        .await;
    let changed = operator.audited(action, Some(sid), Some(sid.as_str()), result).await?;
    Ok(account.output.format.print(&json!(changed))?)
}

async fn rotate_token(operator: &Operator, account: &Account, rotation: TokenRotation) -> Result<(), Failure> {
    let sid = &account.account_sid;
    let scope = AccountScope::for_operator(sid.clone());
    let result = operator.vault.rotate_token(&operator.context, &scope, rotation).await;
    let token = operator
        .audited(Action::AccountRotateToken, Some(sid), Some(sid.as_str()), result)
        .await?;
    let mut document = json!({ "account_sid": sid });
    if let (Some(token), Some(fields)) = (token, document.as_object_mut()) {
        fields.insert("auth_token".to_owned(), json!(token.expose_secret()));
    }
    Ok(account.output.format.print(&document)?)
}

async fn rotate_key(
    operator: &Operator,
    accounts: Accounts,
    made_before: Option<OffsetDateTime>,
    rate: NonZeroU32,
    format: Format,
) -> Result<(), Failure> {
    let sids = if accounts.all {
        let accounts = operator.vault.accounts().await?;
        let with_keys = accounts
            .into_iter()
            .filter(|account| account.status != AccountStatus::Destroyed);
        with_keys.map(|account| account.account_sid).collect()
    } else {
        Vec::from_iter(accounts.account_sid)
    };
    let teller = Teller::new("rotate-key");
    let tell = |done, total| teller.tell(done, total);
    let mut progress = Progress::new(rate, &tell);
    let (mut rotated, mut obstacles) = (Vec::with_capacity(sids.len()), Vec::new());
    for sid in &sids {
        let scope = AccountScope::for_operator(sid.clone());
        let result = operator
            .vault
            .rotate_account_key(&operator.context, &scope, made_before, &mut progress)
            .await;
        let rotation = operator
            .audited(Action::AccountRotateKey, Some(sid), Some(sid.as_str()), result)
            .await?;
        rotated.push(json!({
            "account_sid": sid,
            "account_key": rotation.version,
            "rewrapped": rotation.rewrapped,
            "destroyed": rotation.destroyed,
        }));
        obstacles.extend(rotation.obstacle);
    }
    format.print(&json!(rotated))?;
    if obstacles.is_empty() {
        return Ok(());
    }
    Err(obstacles.join("; ").into())
}

async fn destroy(operator: &Operator, account: &Account, confirm: Option<&str>) -> Result<(), Failure> {
    let (vault, context, sid) = (&operator.vault, &operator.context, &account.account_sid);
    let scope = AccountScope::for_operator(sid.clone());
    if let Some(code) = confirm {
        let result = vault.destroy_account(context, &scope, code).await;
        operator
            .audited(Action::AccountDestroy, Some(sid), Some(sid.as_str()), result)
            .await?;
    }
    let result = vault.destruction(context, &scope).await;
    let stated = operator
        .audited(Action::AccountDestroyStatement, Some(sid), Some(sid.as_str()), result)
        .await?;
    if let Some(stated) = stated {
        return print_statement(&stated, account.output.format);
    }
    let result = vault.preview_destruction(context, &scope).await;
    let preview = operator
        .audited(Action::AccountDestroyPreview, Some(sid), Some(sid.as_str()), result)
        .await?;
    Ok(account.output.format.print(&json!({
        "account_sid": sid,
        "friendly_name": preview.account.friendly_name,
        "credentials": preview.inventory.credentials,
        "deleted_credentials": preview.inventory.deleted_credentials,
        "credential_versions": preview.inventory.credential_versions,
        "account_keys": preview.inventory.account_keys,
        "api_keys": preview.inventory.api_keys,
        "newest_credentials": preview.credentials,
        "confirm": preview.code,
    }))?)
}

fn print_statement(stated: &Destruction, format: Format) -> Result<(), Failure> {
    match format {
        // To the byte, so that what is kept can be verified.
        Format::Text => line(stated.note.trim_end())?,
        Format::Json => format.print(&json!({
            "statement": stated.note,
            "final": stated.record.is_final(),
            "signing_key": stated.key_id,
        }))?,
    }
    Ok(())
}
