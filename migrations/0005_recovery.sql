-- A way back when the root key is lost: every account key is encrypted to an offline recipient too.

-- To whom. The primary one gets every account key; a previous one was replaced, and some keys are still encrypted to it; a
-- retired one has none. That it is destroyed is the word of whoever keeps the private half: no program can see it.
create table recovery_recipients (
    recipient text collate "C" primary key,
    state text not null,
    created_at timestamptz not null default now(),
    changed_at timestamptz,
    constraint recovery_recipients_format check (recipient ~ '^age1[02-9ac-hj-np-z]{58}$'),
    constraint recovery_recipients_state_known check (state in ('primary', 'previous', 'retired', 'destroyed'))
);
create unique index recovery_recipients_one_primary on recovery_recipients (state) where state = 'primary';

-- The copy, and to whom it is encrypted. There is none before recovery is set up.
alter table account_keys add column recovery_recipient text collate "C";
alter table account_keys add column recovery_copy bytea;
alter table account_keys add constraint account_keys_recovery_recipient_known
    foreign key (recovery_recipient) references recovery_recipients not valid;
alter table account_keys validate constraint account_keys_recovery_recipient_known;
alter table account_keys add constraint account_keys_recovery_whole check (
    (recovery_recipient is null) = (recovery_copy is null)
    and (
        recovery_copy is null
        or (octet_length(recovery_copy) > 0 and octet_length(recovery_copy) <= 1024 and state <> 'destroyed')
    )
) not valid;
alter table account_keys validate constraint account_keys_recovery_whole;

-- From the moment that there is a recipient on, no account key comes without a copy for it: whoever was about to write one
-- is told to try again. A key that is destroyed takes its copy along, whoever destroys it. With the rights of the schema's
-- owner, for the lock: the recipient stays the primary one until the writer's transaction ends.
create function require_recovery_copy() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    wanted text;
begin
    if new.state = 'destroyed' then
        new.recovery_recipient := null;
        new.recovery_copy := null;
        return new;
    end if;
    if tg_op = 'UPDATE' then
        if new.recovery_recipient is not distinct from old.recovery_recipient
            and new.recovery_copy is not distinct from old.recovery_copy then
            return new;
        end if;
    end if;
    execute format('select recipient from %I.recovery_recipients where state = ''primary'' for share', tg_table_schema)
        into wanted;
    if new.recovery_recipient is distinct from wanted then
        raise exception 'the key of account % is not encrypted to the recovery recipient', new.account_sid
            using errcode = 'PV001';
    end if;
    return new;
end
$$;
create trigger account_keys_with_recovery_copy before insert or update on account_keys
    for each row execute function require_recovery_copy();

do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select on recovery_recipients to pushvault_service;
    end if;
    if exists (select from pg_roles where rolname = 'pushvault_keeper') then
        grant select, insert, update on recovery_recipients to pushvault_keeper;
    end if;
end
$$;
