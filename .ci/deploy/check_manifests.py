"""Builds every kustomization under deploy/kubernetes with kubectl and holds the result against the API's schemas, strictly, and
against itself: what a selector, a port or a volume names must be there.

    check_manifests.py KUBECTL
"""

import json
import pathlib
import subprocess
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest that the manifests are for (preStop.sleep), and the newest whose schemas we have.
VERSIONS = ("1.30", "1.37")

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TREE = REPOSITORY / "deploy" / "kubernetes"
SERVICE_MONITOR = json.loads((pathlib.Path(__file__).parent / "servicemonitor.schema.json").read_text())

problems = []


def demand(condition, *words):
    if not condition:
        problems.append(" ".join(str(word) for word in words))


def build(kubectl, folder):
    """The objects of a kustomization, as the real kustomize makes them."""
    run = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    demand(run.returncode == 0, folder, "does not build:", run.stderr.strip())
    # A field that is deprecated, for one.
    demand(not run.stderr.strip() or run.returncode, folder, "builds with a warning:", run.stderr.strip())
    return [document for document in yaml.safe_load_all(run.stdout) if document]


def check_schema(where, document):
    if document["kind"] == "ServiceMonitor":
        for error in jsonschema.Draft202012Validator(SERVICE_MONITOR).iter_errors(document):
            demand(False, where, error.json_path, error.message)
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            demand(False, where, f"Kubernetes {version}:", "/".join(map(str, error.path)), error.message)


def check_files(folder):
    """A file that no kustomization names does nothing, and nobody would notice."""
    kustomization = (folder / "kustomization.yaml").read_text()
    for path in folder.iterdir():
        if path.is_file() and path.name not in ("kustomization.yaml", "README.md"):
            demand(path.name in kustomization, path, "is named by no kustomization")


def of_kind(documents, *kinds):
    return [document for document in documents if document["kind"] in kinds]


def fits(selector, labels):
    return selector.items() <= labels.items()


def check_selectors(where, documents, pods):
    labels = [pod["metadata"]["labels"] for pod in pods]
    for document in of_kind(documents, "Service", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "Deployment"):
        spec = document["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        selector = selector.get("matchLabels", selector)
        candidates = labels
        if document["kind"] == "ServiceMonitor":
            candidates = [service["metadata"]["labels"] for service in of_kind(documents, "Service")]
        demand(selector and any(fits(selector, one) for one in candidates), where, document["kind"], "selects nothing")


def check_ports(where, documents, pods):
    named = {port["name"] for pod in pods for container in pod["spec"]["containers"] for port in container.get("ports", [])}
    served = set()
    for service in of_kind(documents, "Service"):
        for port in service["spec"]["ports"]:
            served.add(port["name"])
            demand(port["targetPort"] in named, where, "Service: no container has a port", port["targetPort"])
    for monitor in of_kind(documents, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            demand(endpoint["port"] in served, where, "ServiceMonitor: no Service has a port", endpoint["port"])
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                name = path["backend"]["service"]["port"]["name"]
                demand(name in served, where, "Ingress: no Service has a port", name)
    numbers = {port["containerPort"] for pod in pods for container in pod["spec"]["containers"] for port in container.get("ports", [])}
    for policy in of_kind(documents, "NetworkPolicy"):
        let_in = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        demand(let_in == numbers, where, "NetworkPolicy lets in to", let_in, "and the containers have", numbers)
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                demand(port is None or port in named, where, probe, "no such port", port)


def check_confinement(where, pod):
    """The Pod Security Standard `restricted`, and no token."""
    spec = pod["spec"]
    security = spec["securityContext"]
    demand(spec["automountServiceAccountToken"] is False, where, "has a service account token")
    demand(security["runAsNonRoot"] is True and security["runAsUser"] == 65532, where, "may run as root")
    demand(security["seccompProfile"]["type"] == "RuntimeDefault", where, "has no seccomp profile")
    for container in spec["containers"]:
        security = container["securityContext"]
        demand(security["allowPrivilegeEscalation"] is False, where, "may gain privileges")
        demand(security["readOnlyRootFilesystem"] is True, where, "may write to its root file system")
        demand(security["capabilities"] == {"drop": ["ALL"]}, where, "has capabilities")
        for what in ("requests", "limits"):
            demand({"cpu", "memory"} <= container["resources"][what].keys(), where, "has no", what)


def check_secrets(where, pod):
    """Secrets are files that others cannot read, and every file that a setting names lies in one of the mounts."""
    for volume in pod["spec"]["volumes"]:
        source = volume.get("projected") or volume.get("secret")
        demand(source and source["defaultMode"] & 0o007 == 0, where, volume["name"], "may be read by others")
    for container in pod["spec"]["containers"]:
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        demand(all(mount.get("readOnly") for mount in container["volumeMounts"]), where, "a mount may be written to")
        for one in container.get("env", []):
            demand("secretKeyRef" not in one.get("valueFrom", {}), where, one["name"], "is a secret in the environment")
        for one in container.get("envFrom", []):
            demand("secretRef" not in one, where, "has a secret in its environment")
        for key, value in settings_of(where, pod, container).items():
            if key.endswith("_FILE"):
                demand(any(value.startswith(mount + "/") for mount in mounts), where, key, "is in no mount")


def settings_of(where, pod, container):
    """What the container's environment holds. The pod carries its ConfigMaps, see main."""
    settings = {one["name"]: one["value"] for one in container.get("env", [])}
    for one in container.get("envFrom", []):
        name = one["configMapRef"]["name"]
        demand(name in pod["configMaps"], where, "there is no ConfigMap", name)
        settings |= pod["configMaps"].get(name, {})
    return settings


def check_serving(where, pod, container):
    """The ports are those that the vault listens on, and a stop has the time that it needs."""
    settings = settings_of(where, pod, container)
    ports = {port["containerPort"] for port in container["ports"]}
    for key in ("PUSHVAULT__SERVER__LISTEN", "PUSHVAULT__ADMIN__LISTEN"):
        demand(int(settings[key].rsplit(":")[-1]) in ports, where, key, "is no port of the container")
    encrypts = "PUSHVAULT__TLS__CERTIFICATE_FILE" in settings
    demand(encrypts != (settings["PUSHVAULT__TLS__TERMINATED_BY_PROXY"] == "true"), where, "who ends TLS?")
    stop = int(settings["PUSHVAULT__SERVER__SHUTDOWN_TIMEOUT_SECONDS"]) + container["lifecycle"]["preStop"]["sleep"]["seconds"]
    demand(pod["spec"]["terminationGracePeriodSeconds"] > stop, where, "is killed before it has stopped")


def main():
    kubectl = sys.argv[1]
    folders = sorted(path.parent for path in TREE.rglob("kustomization.yaml"))
    demand(len(folders) >= 4, "found too few kustomizations")
    objects = 0
    for folder in folders:
        name = str(folder.relative_to(REPOSITORY))
        documents = build(kubectl, folder)
        objects += len(documents)
        check_files(folder)
        for document in documents:
            where = f"{name}: {document['kind']} {document['metadata']['name']}:"
            check_schema(where, document)
            demand(document["kind"] != "Secret", where, "a Secret in a public tree")
            demand("namespace" not in document["metadata"], where, "names a namespace")
        workloads = of_kind(documents, "Deployment", "Job")
        pods = [workload["spec"]["template"] for workload in workloads]
        check_selectors(name, documents, pods)
        check_ports(name, documents, pods)
        for workload, pod in zip(workloads, pods):
            where = f"{name}: {workload['kind']} {workload['metadata']['name']}:"
            pod["configMaps"] = {one["metadata"]["name"]: one["data"] for one in of_kind(documents, "ConfigMap")}
            check_confinement(where, pod)
            check_secrets(where, pod)
            if workload["kind"] == "Deployment":
                for container in pod["spec"]["containers"]:
                    check_serving(where, pod, container)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"manifests: {len(folders)} kustomizations, {objects} objects, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
