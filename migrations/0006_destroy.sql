-- Accounts that are destroyed: their keys are gone, and what was sealed under them is noise. And the keys that sign what the
-- vault says about it.

alter table accounts drop constraint accounts_status_known;
alter table accounts add constraint accounts_status_known
    check (status in ('active', 'suspended', 'destroyed')) not valid;
alter table accounts validate constraint accounts_status_known;

-- What was destroyed, and what could open a copy of the database that was made before. Written once.
create table destructions (
    account_sid text collate "C" primary key references accounts,
    event_sid text collate "C" not null,
    destroyed_at timestamptz not null default now(),
    account_keys bigint not null,
    credentials bigint not null,
    credential_versions bigint not null,
    kek_ids text[] collate "C" not null,
    recovery_recipients text[] collate "C" not null
);

-- Nobody brings an account back, or gives it a key: there would be nothing behind it. And nobody says that one is destroyed
-- who may not destroy its keys.
create function refuse_resurrection() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    status text;
begin
    if tg_table_name = 'accounts' then
        if old.status <> 'destroyed' and new.status = 'destroyed' then
            execute format('select account_sid from %I.destructions where account_sid = $1', tg_table_schema)
                into status using new.account_sid;
            if status is null then
                raise exception 'nothing of account % was destroyed', new.account_sid
                    using errcode = 'insufficient_privilege';
            end if;
            return new;
        elsif old.status <> 'destroyed' or new.status = 'destroyed' then
            return new;
        end if;
    else
        execute format('select status from %I.accounts where account_sid = $1', tg_table_schema)
            into status using new.account_sid;
        if status is distinct from 'destroyed' or new.state = 'destroyed' then
            return new;
        end if;
    end if;
    raise exception 'account % is destroyed', new.account_sid using errcode = 'check_violation';
end
$$;
create trigger accounts_stay_destroyed before update of status on accounts
    for each row execute function refuse_resurrection();
create trigger account_keys_stay_destroyed before insert or update on account_keys
    for each row execute function refuse_resurrection();

-- The keys that sign: the seed of each is wrapped under a root key, as account keys are. The public half stays for as long
-- as there is something to verify with it; the seed of one that is retired is gone.
create table signing_keys (
    key_id text collate "C" primary key,
    public_key bytea not null,
    kek_id text collate "C" not null references root_keys,
    wrapped_key bytea not null,
    state text not null,
    created_at timestamptz not null default now(),
    changed_at timestamptz,
    constraint signing_keys_public_length check (octet_length(public_key) = 32),
    constraint signing_keys_state_known check (state in ('primary', 'retired')),
    constraint signing_keys_wrapped_length
        check (octet_length(wrapped_key) <= 8192 and (octet_length(wrapped_key) = 0) = (state = 'retired'))
);
create unique index signing_keys_one_primary on signing_keys (state) where state = 'primary';

-- As for account keys: none is written under a root key that is not the primary one.
create trigger signing_keys_under_primary before insert or update of kek_id, wrapped_key on signing_keys
    for each row execute function require_primary_root_key();

do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select on signing_keys, destructions to pushvault_service;
    end if;
    if exists (select from pg_roles where rolname = 'pushvault_keeper') then
        grant select, insert, update on signing_keys to pushvault_keeper;
        grant select, insert on destructions to pushvault_keeper;
    end if;
end
$$;
