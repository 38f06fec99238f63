-- When the vault wrote the event down, by the clock of the process: the MAC covers it, and the database's own time is held
-- against it. Events of the releases before have none.
alter table audit_events add column written_at timestamptz;
