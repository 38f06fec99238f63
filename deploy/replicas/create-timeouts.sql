-- PgBouncer drops the statement_timeout that the vault asks for at the start of a connection, so the role has it.
alter role pushvault_vault set statement_timeout = '5s';
