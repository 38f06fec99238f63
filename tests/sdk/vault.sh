# shellcheck shell=bash
# A vault for the SDKs' tests: `make run` in an empty directory, stopped again as a terminal's Ctrl-C does, whatever
# happens, and with nothing of it left.

# shellcheck source=tests/sdk/clients.sh
. "$(dirname "${BASH_SOURCE[0]}")/clients.sh"

# The first start compiles.
start_limit_s=900
stop_limit_s=60

# The README's lines stand in a directory with the data directory in it, and with the clone's tests.
workplace="$(mktemp -d)"
data="$workplace/.pushvault"
log="$workplace/log"
vault=""

die_with_log() {
    [ ! -e "$log" ] || tail -n 50 "$log" >&2
    die "$*"
}

# Waits until a command succeeds; fails after so many seconds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# The job gets a process group of its own, so that a Ctrl-C can be sent to all of it, as a terminal does.
start_vault() {
    set -m
    # Dozens of wrong tokens from one address are no attack here.
    PUSHVAULT__RATE_LIMIT__FAILED_AUTHENTICATIONS_PER_MINUTE=10000 \
        make --no-print-directory -C "$repository" run DATA_DIR="$data" LISTEN=127.0.0.1:0 </dev/null >"$log" 2>&1 &
    vault=$!
    set +m
    wait_for "$start_limit_s" is_ready_or_gone || die_with_log "the vault was not ready within $start_limit_s s"
    is_ready || die_with_log "the vault ended instead of getting ready"
    note "$(grep 'pushvault is ready' "$log")"
}

is_ready() {
    [ -e "$data/dev.env" ]
}

is_gone() {
    ! kill -0 -- "-$vault" 2>/dev/null
}

is_ready_or_gone() {
    is_ready || is_gone
}

# The commands reach the running vault through the settings file that it wrote.
pushvault() {
    cargo run --quiet --locked --manifest-path "$repository/Cargo.toml" -- --config "$data/pushvault.toml" "$@"
}

stop_vault() {
    kill -INT -- "-$vault"
    wait_for "$stop_limit_s" is_gone || die_with_log "the vault did not stop within $stop_limit_s s"
    # What make makes of a Ctrl-C says nothing of how the vault ended, but the vault's last words do.
    grep --quiet 'pushvault has stopped' "$log" || die_with_log "the vault did not stop by itself"
    ! is_ready || die_with_log "dev.env is still there"
    flock --nonblock "$data/postgres.lock" true || die_with_log "Postgres still runs"
    ! pgrep --list-full --full -- "$(readlink -f "$data/postgres")" >&2 || die_with_log "these still run"
    note "stopped, and nothing is left running"
}

clean_up() {
    local status=$? cluster
    trap '' INT TERM
    if [ -n "$vault" ] && ! is_gone; then
        kill -INT -- "-$vault" 2>/dev/null || true
        wait_for "$stop_limit_s" is_gone || kill -KILL -- "-$vault" 2>/dev/null || true
    fi
    # What a killed vault leaves ends by itself, but not before its files may be removed.
    if [ -e "$data/postgres.lock" ]; then
        flock --timeout "$stop_limit_s" "$data/postgres.lock" true || true
    fi
    # As root, Postgres may be kept elsewhere, with a link to it.
    if cluster="$(readlink -f "$data/postgres")"; then
        rm -rf -- "$cluster"
    fi
    rm -rf -- "$workplace"
    exit "$status"
}
