#!/bin/sh
# Makes the compose project's secrets at its first start: each once, readable by one user, in the volume of the one service
# that needs it. None of them passes through an environment or a command line.
#
#   /secrets/db       Postgres' user: the passwords of the superuser, the schema's owner and the vault
#   /secrets/migrate  the vault's user: the database URL of the schema's owner
#   /secrets/vault    the vault's user: the database URL of the vault, and the root key
#
# And it gives the vault the volume /checkpoints, which everybody may read: what is written there is signed, not secret.

set -eu
umask 077

postgres_user="$(id -u postgres):$(id -g postgres)"
vault_user=65532:65532

refuse() {
    echo "make-secrets: $1 is missing, but there is a database already. A new one would not fit it: restore the volume" \
        "from its backup, or remove all volumes of the project to begin anew." >&2
    exit 1
}

# Writes its input to a file that only that user can read, unless the file is there already. The file appears whole or
# not at all.
keep() {
    owner="$1" file="$2"
    if [ -e "$file" ]; then
        cat >/dev/null
        return
    fi
    cat >"$file.new"
    chmod 0400 "$file.new"
    chown "$owner" "$file.new"
    mv "$file.new" "$file"
    echo "make-secrets: made $file"
}

password() {
    od -A n -v -t x1 -N 32 /dev/urandom | tr -d ' \n'
}

database_url() {
    printf 'postgres://%s:%s@db:5432/pushvault' "$1" "$(cat "$2")"
}

if [ -e /var/lib/postgresql/data/PG_VERSION ]; then
    for file in /secrets/db/superuser_password /secrets/db/owner_password /secrets/db/vault_password /secrets/vault/root.key; do
        [ -e "$file" ] || refuse "$file"
    done
fi

for name in superuser owner vault; do
    password | keep "$postgres_user" "/secrets/db/${name}_password"
done
database_url pushvault_owner /secrets/db/owner_password | keep "$vault_user" /secrets/migrate/database_url
database_url pushvault_vault /secrets/db/vault_password | keep "$vault_user" /secrets/vault/database_url
head -c 32 /dev/urandom | keep "$vault_user" /secrets/vault/root.key

chown "$vault_user" /checkpoints
