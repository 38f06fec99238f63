#!/bin/sh
# Makes what PgBouncer and the vaults behind it need, of what deploy/compose/make-secrets.sh made before:
#
#   /secrets/pgbouncer/userlist.txt  PgBouncer's user: the vaults' role and its password
#   /secrets/vault/pooler_url        the vaults' user: the database URL by way of PgBouncer

set -eu
umask 077

pgbouncer_user=65531:65531
vault_user=65532:65532
password="$(cat /secrets/db/vault_password)"

# Writes its input to a file that only that user can read. The file appears whole or not at all.
put() {
    cat >"$2.new"
    chmod 0400 "$2.new"
    chown "$1" "$2.new"
    mv -f "$2.new" "$2"
}

printf '"pushvault_vault" "%s"\n' "$password" | put "$pgbouncer_user" /secrets/pgbouncer/userlist.txt
printf 'postgres://pushvault_vault:%s@pgbouncer:6432/pushvault' "$password" | put "$vault_user" /secrets/vault/pooler_url
