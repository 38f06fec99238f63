-- Tells every replica, on the channel pushvault_keys, of an account whose keys and hashes may be cached and have changed.
--
-- A notification is delivered when the change is committed and not before, whoever makes it: the service, a command, or
-- SQL by hand. It holds an account's SID or, for all of them, '*'. It decides nothing: authentication reads the database
-- at every request.
create function notify_key_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'TRUNCATE' then
        perform pg_catalog.pg_notify('pushvault_keys', '*');
        return null;
    end if;
    if tg_op in ('UPDATE', 'DELETE') then
        perform pg_catalog.pg_notify('pushvault_keys', old.account_sid);
    end if;
    -- Postgres passes over a notification that repeats another one of its transaction.
    if tg_op in ('INSERT', 'UPDATE') then
        perform pg_catalog.pg_notify('pushvault_keys', new.account_sid);
    end if;
    return null;
end
$$;

-- Of what is new to an account only a key can make stale what is cached of it.
create trigger accounts_notify after update or delete on accounts
    for each row execute function notify_key_change();
create trigger api_keys_notify after update or delete on api_keys
    for each row execute function notify_key_change();
create trigger account_keys_notify after insert or update or delete on account_keys
    for each row execute function notify_key_change();

create trigger accounts_notify_truncate after truncate on accounts
    for each statement execute function notify_key_change();
create trigger api_keys_notify_truncate after truncate on api_keys
    for each statement execute function notify_key_change();
create trigger account_keys_notify_truncate after truncate on account_keys
    for each statement execute function notify_key_change();
