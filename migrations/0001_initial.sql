-- The first schema of pushvault.
--
-- Rules that every later migration keeps:
--   * forward only: expand first, contract in a later release, so that two versions of the binary can run side by side;
--   * every key of tenant data begins with account_sid, so that the schema can be distributed by account;
--   * no column ever holds a plaintext secret, a token, or anything derived from one without a key or Argon2id;
--   * SIDs compare byte by byte (collate "C"): paging must not depend on the database's locale.

-- One row: the identity of this deployment. It is part of every encryption context, so that a row which is copied into
-- another deployment's database does not open there.
create table deployment (
    singleton boolean primary key default true,
    deployment_id uuid not null default gen_random_uuid(),
    created_at timestamptz not null default now(),
    constraint deployment_is_one_row check (singleton)
);
insert into deployment default values;

-- The root keys (KEKs) this database knows of. Never a key: its fingerprint, and for a passphrase what Argon2id needs to
-- derive it again.
create table root_keys (
    kek_id text collate "C" primary key,
    provider text not null,
    state text not null,
    kdf_salt bytea,
    kdf_memory_kib integer,
    kdf_iterations integer,
    kdf_parallelism integer,
    created_at timestamptz not null default now(),
    constraint root_keys_kek_id_format check (kek_id ~ '^kek_[0-9a-f]{16}$'),
    constraint root_keys_state_known check (state in ('primary')),
    constraint root_keys_passphrase_has_kdf check (
        (provider = 'passphrase')
        = (kdf_salt is not null and kdf_memory_kib is not null and kdf_iterations is not null and kdf_parallelism is not null)
    )
);
create unique index root_keys_one_primary on root_keys (state) where state = 'primary';

create table accounts (
    account_sid text collate "C" primary key,
    friendly_name text,
    status text not null default 'active',
    -- Argon2id in PHC string format. Two tokens may be valid while callers roll over, as Twilio's primary and secondary are.
    primary_token_hash text not null,
    secondary_token_hash text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint accounts_sid_format check (account_sid ~ '^AC[0-9a-f]{32}$'),
    constraint accounts_status_known check (status in ('active', 'suspended')),
    constraint accounts_friendly_name_length check (char_length(friendly_name) between 1 and 64)
);

create table api_keys (
    account_sid text collate "C" not null references accounts,
    api_key_sid text collate "C" not null,
    friendly_name text,
    secret_hash text not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (account_sid, api_key_sid),
    constraint api_keys_sid_format check (api_key_sid ~ '^SK[0-9a-f]{32}$'),
    constraint api_keys_friendly_name_length check (char_length(friendly_name) between 1 and 64)
);
-- Authentication starts from the key's SID alone.
create index api_keys_by_sid on api_keys (api_key_sid);

-- Account keys, each wrapped under a root key.
create table account_keys (
    account_sid text collate "C" not null references accounts,
    version integer not null,
    kek_id text collate "C" not null references root_keys,
    wrapped_key bytea not null,
    state text not null,
    created_at timestamptz not null default now(),
    primary key (account_sid, version),
    constraint account_keys_version_positive check (version > 0),
    constraint account_keys_wrapped_length check (octet_length(wrapped_key) = 60),
    constraint account_keys_state_known check (state in ('primary'))
);
create unique index account_keys_one_primary on account_keys (account_sid) where state = 'primary';

-- Metadata only: what the API answers. The secrets lie in credential_versions.
create table credentials (
    account_sid text collate "C" not null references accounts,
    credential_sid text collate "C" not null,
    friendly_name text,
    push_service text not null,
    sandbox boolean not null,
    current_version integer not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- A deleted credential answers 404 everywhere; the row stays so that an operator can restore it.
    deleted_at timestamptz,
    primary key (account_sid, credential_sid),
    constraint credentials_sid_format check (credential_sid ~ '^CR[0-9a-f]{32}$'),
    constraint credentials_friendly_name_length check (char_length(friendly_name) between 1 and 64),
    constraint credentials_push_service_known check (push_service in ('apn', 'fcm', 'gcm')),
    constraint credentials_version_positive check (current_version > 0)
);
-- The order of the list: newest first.
create index credentials_newest_first on credentials (account_sid, created_at desc, credential_sid desc)
    where deleted_at is null;

-- One row per set of secrets that a credential ever had. Written once, never updated by the service.
create table credential_versions (
    account_sid text collate "C" not null,
    credential_sid text collate "C" not null,
    version integer not null,
    -- The values that are bound into the ciphertexts of this version (the encryption context).
    push_service text not null,
    sandbox boolean not null,
    dek_envelope bytea not null,
    certificate bytea,
    private_key bytea,
    api_key bytea,
    secret bytea,
    -- SHA-256 over the ciphertexts: the audit event of the change carries the same value.
    envelope_digest bytea not null,
    created_at timestamptz not null default now(),
    primary key (account_sid, credential_sid, version),
    constraint credential_versions_of_credential foreign key (account_sid, credential_sid) references credentials
        deferrable initially deferred,
    constraint credential_versions_version_positive check (version > 0),
    constraint credential_versions_digest_length check (octet_length(envelope_digest) = 32)
);

-- What happened, to whom, by whom. Never a value derived from a secret without a key.
create table audit_events (
    -- The all-zero account stands for the deployment itself: events of which no account can be named.
    account_sid text collate "C" not null,
    event_sid text collate "C" not null,
    occurred_at timestamptz not null default clock_timestamp(),
    actor_type text not null,
    actor_sid text,
    source_address inet,
    user_agent text,
    request_sid text,
    traceparent text,
    action text not null,
    outcome text not null,
    error_code integer,
    target_sid text,
    target_version integer,
    changed_fields text[] not null default '{}',
    before jsonb,
    after jsonb,
    envelope_digest bytea,
    primary key (account_sid, event_sid),
    constraint audit_events_account_format check (account_sid ~ '^AC[0-9a-f]{32}$'),
    constraint audit_events_sid_format check (event_sid ~ '^AE[0-9a-f]{32}$'),
    constraint audit_events_actor_known check (actor_type in ('account', 'api_key', 'operator', 'anonymous')),
    constraint audit_events_outcome_known check (outcome in ('success', 'denied', 'failed', 'unknown')),
    constraint audit_events_error_iff_not_success check ((outcome = 'success') = (error_code is null))
);
create index audit_events_newest_first on audit_events (account_sid, occurred_at desc, event_sid desc);
create index audit_events_by_target on audit_events (account_sid, target_sid, occurred_at desc);

-- Audit events are only ever added, whoever asks: the owner of the table too.
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_events is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_events_append_only before update or delete on audit_events
    for each row execute function refuse_audit_change();
create trigger audit_events_no_truncate before truncate on audit_events
    for each statement execute function refuse_audit_change();

-- The service's own role, where the deployment has one, gets what it needs and nothing else. The schema's owner runs
-- this file; the group role pushvault_service is made beforehand by whoever sets up the database.
do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select on deployment, _sqlx_migrations to pushvault_service;
        grant select, insert on root_keys, account_keys, credential_versions, audit_events to pushvault_service;
        grant select, insert, update on accounts, api_keys, credentials to pushvault_service;
    end if;
end
$$;
