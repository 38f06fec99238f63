# shellcheck shell=bash
# Named and timed steps, one after the other, and work in the background that a later step waits for. The first failure ends
# the run; nothing outlives it.

# shellcheck source=.ci/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

step_name="start"
step_times=()
# Those that no step has waited for yet, and the names of all.
declare -A background_pids=() background_names=()
background_logs=""
at_end=true

# Begins a run. The command is called when it ends, however it ends.
begin_steps() {
    at_end="$1"
    background_logs="$(mktemp -d)"
    SECONDS=0
    trap finish EXIT
    trap 'exit 143' TERM
    trap 'exit 130' INT
}

end_steps() {
    # Work that nobody waited for may have failed, and nobody would know.
    [ "${#background_pids[@]}" -eq 0 ] || die "no step waited for: ${!background_pids[*]}"
    step_name=""
}

# Runs a command as a named step, in this shell, so that it may wait for work in the background.
step() {
    local begin_s="$SECONDS"
    step_name="$1"
    shift
    printf '\n=== %s\n' "$step_name"
    "$@" </dev/null
    step_times+=("$(printf '%6d s  %s' "$((SECONDS - begin_s))" "$step_name")")
    printf -- '--- %s: ok, %d s\n' "$step_name" "$((SECONDS - begin_s))"
}

# Starts a command beside the steps. It gets a process group of its own, by which it is ended with all its children.
background() {
    local name="$1"
    shift
    set -m
    run_in_background "$name" "$@" </dev/null >"$background_logs/$name" 2>&1 &
    background_pids[$name]=$!
    background_names[$name]=yes
    set +m
    printf 'in the background: %s\n' "$name"
}

# The steps have the first claim on the processor.
run_in_background() {
    local begin_s="$SECONDS"
    shift
    renice --priority 10 --pid "$BASHPID" >/dev/null
    "$@"
    printf 'ok, %d s\n' "$((SECONDS - begin_s))"
}

# Waits for work in the background, shows what it printed, and fails if it did. To wait a second time costs nothing.
join() {
    local name="$1" status=0
    [ -n "${background_names[$name]:-}" ] || die "nothing named $name was begun in the background"
    [ -n "${background_pids[$name]:-}" ] || return 0
    wait "${background_pids[$name]}" || status=$?
    unset "background_pids[$name]"
    sed "s/^/| $name: /" "$background_logs/$name"
    [ "$status" -eq 0 ] || die "$name, in the background, failed with status $status"
}

end_background() {
    local pid
    for pid in "${background_pids[@]}"; do
        kill -TERM -- "-$pid" 2>/dev/null || true
    done
    for pid in "${background_pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
}

finish() {
    local status=$?
    trap '' INT TERM
    set +e
    end_background
    "$at_end"
    rm -rf "$background_logs"
    printf '\n=== summary\n'
    printf '%s\n' "${step_times[@]}"
    if [ "$status" -eq 0 ] && [ -z "$step_name" ]; then
        printf 'gate: passed, %d steps in %d s\n' "${#step_times[@]}" "$SECONDS"
    else
        [ "$status" -ne 0 ] || status=1
        printf 'gate: FAILED in step "%s" with status %d, after %d s\n' "$step_name" "$status" "$SECONDS"
    fi
    exit "$status"
}
