-- The events of before wait for the tree as those of today do. In a file of its own: the lock that a new trigger takes on
-- audit_events is not held while they are read.
insert into audit_unsealed (account_sid, event_sid, recorded_at)
    select account_sid, event_sid, occurred_at from audit_events on conflict do nothing;
