# shellcheck shell=bash
# The Docker daemon of the gate: Debian's docker.io, started only when no daemon answers, and stopped only when it is ours.

# shellcheck source=.ci/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The classic builder is what docker.io brings along; a newer client would look for a plugin that isn't there.
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0

docker_home="$ci_cache/docker"
docker_pid_file="$docker_home/dockerd.pid"
docker_log="$docker_home/dockerd.log"

docker_answers() {
    docker info >/dev/null 2>&1
}

docker_install() {
    if ! command -v docker >/dev/null || ! command -v dockerd >/dev/null; then
        install_packages docker.io
    fi
    docker compose version >/dev/null 2>&1 || install_packages docker-compose
}

# Compose, as the plugin or as the older program.
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}

# Prints the pid of the daemon that docker_start started, if it still runs. A pid file alone proves nothing: the number
# may have gone to another process since.
docker_own_pid() {
    local pid
    pid="$(as_root cat "$docker_pid_file" 2>/dev/null)" || return 1
    [ -n "$pid" ] || return 1
    as_root tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep --quiet --fixed-strings -- "--data-root $docker_home/data" || return 1
    printf '%s\n' "$pid"
}

# Starts a daemon if none answers. It leaves our process group and gets none of our descriptors, so that it neither dies
# with the terminal nor keeps a caller waiting that reads our output to the end.
docker_start() {
    local extra_arguments=()
    docker_install
    if docker_answers; then
        note "docker: a daemon answers already"
        return 0
    fi
    mkdir -p "$docker_home"
    # For machines whose kernel lacks something that the defaults need: "--storage-driver=vfs --iptables=false".
    read -r -a extra_arguments <<<"${PUSHVAULT_DOCKERD_ARGUMENTS:-}"
    as_root setsid --fork dockerd \
        --data-root "$docker_home/data" \
        --pidfile "$docker_pid_file" \
        "${extra_arguments[@]}" \
        </dev/null >"$docker_log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    if ! wait_for 60 docker_answers; then
        tail -n 40 "$docker_log" >&2
        docker_stop
        die "docker: the daemon does not answer after 60 s"
    fi
    note "docker: started a daemon, pid $(docker_own_pid), log $docker_log"
}

process_is_gone() {
    [ ! -d "/proc/$1" ]
}

# Stops the daemon that docker_start started, and no other. Its containers go with it.
docker_stop() {
    local pid
    if ! pid="$(docker_own_pid)"; then
        note "docker: no daemon of ours runs"
        return 0
    fi
    as_root kill -TERM "$pid"
    if ! wait_for 60 process_is_gone "$pid"; then
        note "docker: the daemon, pid $pid, did not stop within 60 s; killing it"
        as_root kill -KILL "$pid"
    fi
    note "docker: stopped the daemon, pid $pid"
}
