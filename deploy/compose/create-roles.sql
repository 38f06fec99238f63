-- Run once by the Postgres image, as the superuser, when the cluster is made. The passwords are files that only the
-- server's user can read.
\set owner_password `cat /run/pushvault/owner_password`
\set vault_password `cat /run/pushvault/vault_password`

-- Owns the schema: only `pushvault migrate` logs in as this role.
create role pushvault_owner login password :'owner_password';

-- What the service may do: the migrations grant it to this group.
create role pushvault_service nologin;

-- What it takes to rotate keys: the migrations grant it to this group, in which nobody is until keys are rotated.
create role pushvault_keeper nologin in role pushvault_service;

-- What `pushvault serve` logs in as.
create role pushvault_vault login password :'vault_password' in role pushvault_service;

create database pushvault owner pushvault_owner;
revoke all on database pushvault from public;
grant connect on database pushvault to pushvault_service;
