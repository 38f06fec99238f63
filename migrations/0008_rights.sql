-- What an API key may do. A key that was made before may do what it could: read and write credentials, and nothing that came
-- later. Which names there are is the program's business and no constraint's: of two releases side by side the later one may
-- write a right that the earlier one does not know, and then ignores.
alter table api_keys add column rights text[] collate "C" not null default '{credentials:read,credentials:write}';
alter table api_keys add constraint api_keys_rights_named check (array_position(rights, null) is null) not valid;
alter table api_keys validate constraint api_keys_rights_named;
