# shellcheck shell=bash
# The official SDKs that the tests run: where they are kept, outside the clone, and how they get there.

sdk="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
repository="$(cd "$sdk/../.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/pushvault-ci"
venv="$cache/sdk-venv"
node_sdk="$cache/sdk-node"
# Read by the scripts that source this file.
export repository

# What the SDK's package.json asks for.
oldest_node=20

note() {
    printf 'sdk: %s\n' "$*" >&2
}

die() {
    note "error: $*"
    exit 1
}

# Takes the machine's Node if it is new enough, and else the one that comes as a Python package.
choose_node() {
    requirements=("$sdk/requirements.txt")
    node=node npm=npm
    if ! machine_has_node; then
        requirements+=("$sdk/node/requirements.txt")
        node="$venv/bin/node" npm="$venv/bin/npm"
    fi
}

machine_has_node() {
    command -v npm >/dev/null && command -v node >/dev/null &&
        node -e 'process.exit(parseInt(process.versions.node) >= process.argv[1] ? 0 : 1)' "$oldest_node"
}

# Each SDK is installed again when what pins it has changed.
install_clients() {
    choose_node
    install_python_sdk
    install_node_sdk
}

install_python_sdk() {
    if cat "${requirements[@]}" | cmp --silent - "$venv/installed.txt" && "$venv/bin/python" -c 'import twilio'; then
        return 0
    fi
    note "installing what these name into $venv: ${requirements[*]#"$repository/"}"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${requirements[@]/#/--requirement=}"
    cat "${requirements[@]}" >"$venv/installed.txt"
}

install_node_sdk() {
    local pins="$sdk/node"
    if cmp --silent "$pins/package-lock.json" "$node_sdk/installed.json" && has_node_sdk; then
        return 0
    fi
    note "installing Node's twilio into $node_sdk, with Node $("$node" --version) and npm $("$npm" --version)"
    rm -rf "$node_sdk"
    mkdir -p "$node_sdk"
    cp "$pins/package.json" "$pins/package-lock.json" "$pins/.npmrc" "$node_sdk"
    (cd "$node_sdk" && "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    has_node_sdk || die "npm installed no twilio that Node finds"
    cp "$pins/package-lock.json" "$node_sdk/installed.json"
}

has_node_sdk() {
    NODE_PATH="$node_sdk/node_modules" "$node" -e 'require("twilio")' 2>/dev/null
}
