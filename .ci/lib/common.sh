# shellcheck shell=bash
# What every CI script shares: where things are kept, how a message looks, how packages and root are reached.

set -euo pipefail

# Everything that outlives one run is kept here, outside the clone, so that the clone stays clean and the next run is warm.
ci_cache="${XDG_CACHE_HOME:-$HOME/.cache}/pushvault-ci"
repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# Exported for the scripts that source this file, and for the programs these start.
export ci_cache repository

note() {
    printf '%s\n' "$*" >&2
}

die() {
    note "error: $*"
    exit 1
}

# Runs a command as root: directly in a container, through sudo on a developer's machine.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "$1 needs root, and there is no sudo"
    fi
}

package_is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Another apt-get on this machine, such as one that the test command starts, is waited for.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get --quiet --option DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Installs those of the named Debian packages that are missing.
install_packages() {
    local package missing=()
    for package in "$@"; do
        package_is_installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    note "installing: ${missing[*]}"
    # A mirror that is just being updated fails once; it seldom does so twice.
    quietly apt_get update || quietly apt_get update
    quietly apt_get install --yes --no-install-recommends "${missing[@]}"
}

# Runs a command and shows what it printed only if it fails.
quietly() {
    local output
    output="$("$@" 2>&1)" || { printf '%s\n' "$output" >&2 && return 1; }
}

# Waits until a command succeeds; fails after so many seconds.
wait_for() {
    local limit_s="$1" deadline
    shift
    deadline=$((SECONDS + limit_s))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}
