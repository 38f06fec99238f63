-- Keys that are rotated: root keys and account keys have states, and no row is written under a key that is no longer the
-- primary one.

-- A root key is added, then the primary one, then a previous one until nothing is wrapped under it, then retired, then
-- destroyed. A key that is kept elsewhere (Transit, AWS KMS) has a name there, and a seed that was wrapped by it: that it
-- unwraps shows that the key is the right one.
alter table root_keys drop constraint root_keys_state_known;
alter table root_keys add constraint root_keys_state_known
    check (state in ('added', 'primary', 'previous', 'retired', 'destroyed')) not valid;
alter table root_keys validate constraint root_keys_state_known;
alter table root_keys add column name text;
alter table root_keys add column wrapped_seed bytea;
alter table root_keys add column changed_at timestamptz;

-- An account key is the primary one, then a previous one until no credential is sealed under it, then destroyed: its row
-- stays, without the key. How long a wrapped key is depends on who wrapped it.
alter table account_keys drop constraint account_keys_state_known;
alter table account_keys add constraint account_keys_state_known
    check (state in ('primary', 'previous', 'destroyed')) not valid;
alter table account_keys validate constraint account_keys_state_known;
alter table account_keys drop constraint account_keys_wrapped_length;
alter table account_keys add constraint account_keys_wrapped_length
    check (octet_length(wrapped_key) <= 8192 and (octet_length(wrapped_key) = 0) = (state = 'destroyed')) not valid;
alter table account_keys validate constraint account_keys_wrapped_length;
alter table account_keys add column changed_at timestamptz;

-- The service holds keys in memory, and another replica may rotate them meanwhile. So the database has the last word: a row
-- that is written under a key that is not the primary one any more is refused, with a state that the service knows and
-- answers by trying again with the key of the day. Whoever writes such a row shares a lock until its transaction ends;
-- whoever changes which key is the primary one has it alone, and sees afterwards every row under the old one. It is an
-- advisory lock, because those are granted in turn: with a lock on the key's row, a stream of writers would keep the one
-- who rotates waiting for ever.
create function require_primary_account_key() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    header bytea := new.dek_envelope;
    state text;
begin
    if octet_length(header) >= 8 then
        perform pg_advisory_xact_lock_shared(hashtextextended(new.account_sid, 0));
        execute format('select state from %I.account_keys where account_sid = $1 and version = $2', tg_table_schema)
            into state
            using new.account_sid,
                (get_byte(header, 4)::bigint << 24) + (get_byte(header, 5) << 16)
                    + (get_byte(header, 6) << 8) + get_byte(header, 7);
        if state = 'primary' then
            return new;
        end if;
    end if;
    raise exception 'the envelope is not sealed under the primary key of account %', new.account_sid
        using errcode = 'PV001';
end
$$;

create function require_primary_root_key() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    state text;
begin
    if octet_length(new.wrapped_key) = 0 then
        return new;
    end if;
    perform pg_advisory_xact_lock_shared(hashtextextended('root_keys', 0));
    execute format('select state from %I.root_keys where kek_id = $1', tg_table_schema) into state using new.kek_id;
    if state = 'primary' then
        return new;
    end if;
    raise exception 'the key is not wrapped under the primary root key, but under %', new.kek_id using errcode = 'PV001';
end
$$;

create trigger credential_versions_under_primary before insert or update of dek_envelope on credential_versions
    for each row execute function require_primary_account_key();
create trigger account_keys_under_primary before insert or update of kek_id, wrapped_key on account_keys
    for each row execute function require_primary_root_key();

-- The replicas that live, and the root keys that each of them can use: a key becomes the primary one only when all of them
-- can. A replica that has not been seen for a while is gone.
create table replicas (
    replica_id uuid primary key,
    version text not null,
    kek_ids text[] collate "C" not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);

-- Those who rotate keys have more rights than the service. pushvault_keeper is made beforehand, as a member of
-- pushvault_service.
do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select, insert, update, delete on replicas to pushvault_service;
    end if;
    if exists (select from pg_roles where rolname = 'pushvault_keeper') then
        grant select, insert, update on root_keys, account_keys to pushvault_keeper;
        grant select, update (dek_envelope, envelope_digest) on credential_versions to pushvault_keeper;
    end if;
end
$$;
