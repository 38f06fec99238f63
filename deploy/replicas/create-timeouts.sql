-- PgBouncer drops the timeouts that the vault asks for at the start of a connection, so the role has them.
alter role pushvault_vault set statement_timeout = '5s';
alter role pushvault_vault set idle_in_transaction_session_timeout = '5s';
