-- The keys by which a create can be sent again without a second credential (request header Idempotency-Key).
--
-- A row names the credential that the first request made. Whether a later request is the same one is decided by opening
-- the credential's first version and comparing: no digest of a request is stored.
create table idempotency_keys (
    account_sid text collate "C" not null references accounts,
    idempotency_key text collate "C" not null,
    credential_sid text collate "C" not null,
    -- As the first answer said it; the credential's own may have changed since.
    friendly_name text,
    created_at timestamptz not null default now(),
    primary key (account_sid, idempotency_key),
    constraint idempotency_keys_of_credential foreign key (account_sid, credential_sid) references credentials
        deferrable initially deferred,
    constraint idempotency_keys_length check (char_length(idempotency_key) between 1 and 255),
    constraint idempotency_keys_friendly_name_length check (char_length(friendly_name) between 1 and 64)
);
-- A key is kept for 24 hours; those that are older are removed by the next create that brings a key.
create index idempotency_keys_oldest_first on idempotency_keys (account_sid, created_at);

do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select, insert, update, delete on idempotency_keys to pushvault_service;
    end if;
end
$$;
