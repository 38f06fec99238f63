-- The queue of the sealer in a statement whose plan is kept: as text it was parsed and planned for every event, which cost
-- half as much as the event's own insert. The schema's name is therefore fixed here. Where somebody renames the schema,
-- nothing is recorded and every mutation is refused, until this function is made again.
do $migration$
begin
    execute format($function$
        create or replace function %1$I.queue_audit_event() returns trigger
            language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
        begin
            insert into %1$I.audit_unsealed (account_sid, event_sid) values (new.account_sid, new.event_sid)
                on conflict do nothing;
            return null;
        end
        $body$
    $function$, (
        select nspname from pg_namespace where oid = (select relnamespace from pg_class where oid = 'audit_events'::regclass)
    ));
end
$migration$;

-- The sealer takes the oldest first, however many wait.
create index audit_unsealed_oldest_first on audit_unsealed (recorded_at);

-- No event is from before there was a vault, nor from beyond what clocks and programs know.
alter table audit_events add constraint audit_events_time_can_be
    check (occurred_at between '2020-01-01' and '9999-01-01') not valid;
