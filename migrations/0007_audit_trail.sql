-- An audit trail that cannot lie quietly: every event has a MAC when it is written, and a second later a place in a Merkle
-- tree whose head is signed.

-- HMAC-SHA-256 over the event, and whose: the key comes from a signing key. Events of the release before have none.
alter table audit_events add column mac bytea;
alter table audit_events add column mac_key_id text collate "C";

-- Events that no tree has yet. They come and go by the second, so the table stays small and is cleaned often.
create table audit_unsealed (
    account_sid text collate "C" not null,
    event_sid text collate "C" not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (account_sid, event_sid)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- With the rights of the schema's owner, so that whoever may write an event needs no right to what becomes of it.
create function queue_audit_event() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute format('insert into %I.audit_unsealed (account_sid, event_sid) values ($1, $2) on conflict do nothing',
        tg_table_schema) using new.account_sid, new.event_sid;
    return null;
end
$$;
create trigger audit_events_queue after insert on audit_events
    for each row execute function queue_audit_event();

-- Which event is which leaf of the tree, and how it was found when it became one.
create table audit_leaves (
    leaf_index bigint primary key,
    account_sid text collate "C" not null,
    event_sid text collate "C" not null,
    authenticity text not null,
    constraint audit_leaves_index_not_negative check (leaf_index >= 0),
    constraint audit_leaves_once unique (account_sid, event_sid),
    constraint audit_leaves_authenticity_known check (authenticity in ('authentic', 'unsigned', 'forged', 'missing'))
);

-- The hashes of the tree (RFC 6962): leaves, and subtrees that are full, in the order in which they came to be.
create table audit_hashes (
    position bigint primary key,
    hash bytea not null,
    constraint audit_hashes_length check (octet_length(hash) = 32)
);

-- The heads of the tree, signed (C2SP tlog-checkpoint).
create table audit_checkpoints (
    tree_size bigint primary key,
    root_hash bytea not null,
    note text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint audit_checkpoints_size_positive check (tree_size > 0),
    constraint audit_checkpoints_root_length check (octet_length(root_hash) = 32)
);

-- What was cut off on purpose: the leaves below tree_size, and the hashes below hashes_below but for those that proofs of
-- later leaves need.
create table audit_prunings (
    tree_size bigint primary key,
    hashes_below bigint not null,
    event_sid text collate "C" not null,
    pruned_at timestamptz not null default clock_timestamp()
);

-- Nothing of it is changed, whoever asks, and nothing is removed that is not below a pruning.
create or replace function refuse_audit_change() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_pruned boolean;
begin
    if tg_op = 'DELETE' then
        if tg_table_name = 'audit_events' then
            execute format('select exists (
                    select from %1$I.audit_leaves where account_sid = $1 and event_sid = $2
                        and leaf_index < (select max(tree_size) from %1$I.audit_prunings)
                )', tg_table_schema) into is_pruned using old.account_sid, old.event_sid;
        elsif tg_table_name = 'audit_leaves' then
            execute format('select $1 < max(tree_size) from %I.audit_prunings', tg_table_schema)
                into is_pruned using old.leaf_index;
        elsif tg_table_name = 'audit_hashes' then
            execute format('select $1 < max(hashes_below) from %I.audit_prunings', tg_table_schema)
                into is_pruned using old.position;
        elsif tg_table_name = 'audit_checkpoints' then
            execute format('select $1 < max(tree_size) from %I.audit_prunings', tg_table_schema)
                into is_pruned using old.tree_size;
        end if;
        if is_pruned then
            return old;
        end if;
    end if;
    raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_leaves_append_only before update or delete on audit_leaves
    for each row execute function refuse_audit_change();
create trigger audit_leaves_no_truncate before truncate on audit_leaves
    for each statement execute function refuse_audit_change();
create trigger audit_hashes_append_only before update or delete on audit_hashes
    for each row execute function refuse_audit_change();
create trigger audit_hashes_no_truncate before truncate on audit_hashes
    for each statement execute function refuse_audit_change();
create trigger audit_checkpoints_append_only before update or delete on audit_checkpoints
    for each row execute function refuse_audit_change();
create trigger audit_checkpoints_no_truncate before truncate on audit_checkpoints
    for each statement execute function refuse_audit_change();
create trigger audit_prunings_append_only before update or delete on audit_prunings
    for each row execute function refuse_audit_change();
create trigger audit_prunings_no_truncate before truncate on audit_prunings
    for each statement execute function refuse_audit_change();

-- The service seals, and makes the key that signs where there is none. Only who keeps the keys may prune.
do $$
begin
    if exists (select from pg_roles where rolname = 'pushvault_service') then
        grant select, delete on audit_unsealed to pushvault_service;
        grant select, insert on audit_leaves, audit_hashes, audit_checkpoints to pushvault_service;
        grant select on audit_prunings to pushvault_service;
        grant insert on signing_keys to pushvault_service;
    end if;
    if exists (select from pg_roles where rolname = 'pushvault_keeper') then
        grant delete on audit_events, audit_leaves, audit_hashes, audit_checkpoints to pushvault_keeper;
        grant insert on audit_prunings to pushvault_keeper;
    end if;
end
$$;
