# shellcheck shell=bash
# What the scripts share that bring a Compose project up, use the vault in it through curl, and take it down again.

# shellcheck source=.ci/lib/docker.sh
. "$(dirname "${BASH_SOURCE[0]}")/docker.sh"

# Set by the script: a directory of its own, and where the vault answers.
work_directory=""
origin=""

load_pid=""

check() {
    local what="$1"
    shift
    "$@" || die "$what: failed"
    note "$what: ok"
}

container_of() {
    compose ps --quiet "$1"
}

is_healthy() {
    [ "$(docker inspect --format '{{.State.Health.Status}}' "$(container_of "$1")")" = healthy ]
}

# Runs Compose with its chatter in a file, which is shown only if it fails.
quietly_compose() {
    compose "$@" >"$work_directory/compose.log" 2>&1 || { tail -n 60 "$work_directory/compose.log" >&2 && return 1; }
}

# Prints one value of the JSON object on standard input: a key, or keys and indices, as arguments.
json() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]:
    value = value[int(key) if isinstance(value, list) else key]
print(value)
' "$@"
}

# Makes an account by the program in that service. curl's own settings file keeps the token out of the process list.
create_account_in() {
    local answer
    answer="$(compose exec -T "$1" pushvault account create --friendly-name first --format json </dev/null)" || return 1
    printf 'user = "%s:%s"\n' "$(json account_sid <<<"$answer")" "$(json auth_token <<<"$answer")" >"$work_directory/curl"
}

# Sends a request and compares the status: expect STATUS METHOD PATH [curl's arguments]. The body is kept in a file.
expect() {
    local expected="$1" method="$2" path="$3" status
    shift 3
    status="$(curl --silent --show-error --max-time 20 --config "$work_directory/curl" --request "$method" \
        --output "$work_directory/body" --write-out '%{http_code}' "$@" "$origin$path")" || return 1
    if [ "$status" != "$expected" ]; then
        note "$method $path answered $status, not $expected: $(head -c 500 "$work_directory/body")"
        return 1
    fi
}

body_holds() {
    local expected="$1"
    shift
    [ "$(json "$@" <"$work_directory/body")" = "$expected" ]
}

# Begins to send creates and reads. A request that fails is sent again for so many seconds, once at least.
begin_load() {
    : >"$work_directory/progress"
    python3 "$repository/.ci/load.py" "$origin" "$work_directory/curl" "$work_directory/progress" "$work_directory/stop" \
        "$1" >"$work_directory/load" 2>&1 &
    load_pid=$!
}

# Whether so many creates have been acknowledged.
acknowledged() {
    [ "$(wc -l <"$work_directory/progress")" -ge "$1" ]
}

# Whether the load, once it is called off, has lost nothing and failed at nothing.
load_ends_well() {
    local status=0
    touch "$work_directory/stop"
    wait "$load_pid" || status=$?
    load_pid=""
    note "$(cat "$work_directory/load")"
    return "$status"
}

end_load() {
    [ -z "$load_pid" ] || kill "$load_pid" 2>/dev/null || true
}
