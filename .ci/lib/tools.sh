# shellcheck shell=bash
# The gate's tools that are no Debian packages: a function for each, which leaves a tool of the right version as it is.

# shellcheck source=.ci/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tools_root="$ci_cache/tools"
python_environment="$ci_cache/python"
# Read by the scripts that source this file.
export tools_root python_environment

# Built without optimisation: that takes half the time, and the check takes seconds either way.
install_cargo_deny() {
    local version=0.20.2
    if [ "$("$tools_root/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $version" ]; then
        note "cargo-deny $version is here"
        return 0
    fi
    cargo install --locked --debug cargo-deny --version "=$version" --root "$tools_root" --target-dir "$tools_root/target"
    # A gigabyte that nobody reads again.
    rm -rf "$tools_root/target"
}

# The Python environment of the kernel's independent decoder.
install_python_environment() {
    local version=50.0.2
    if "$python_environment/bin/python" -c "import cryptography; assert cryptography.__version__ == '$version'" 2>/dev/null; then
        note "cryptography $version is here"
        return 0
    fi
    rm -rf "$python_environment"
    python3 -m venv "$python_environment"
    "$python_environment/bin/pip" install --quiet --disable-pip-version-check "cryptography==$version"
}
