"""Says of each alert whether it tells what a person needs at night, and whether a test shows it firing and another one silent.
Whether the tests pass is promtool's business; that metrics and runbooks exist is held by tests/tidy/deploy.rs.

    check_rules.py
"""

import pathlib
import re
import sys

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"

problems = []


def demand(condition, *words):
    if not condition:
        problems.append(" ".join(str(word) for word in words))


def load(path):
    return yaml.safe_load((DEPLOY / path).read_text())


def main():
    rules = [rule for group in load("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
    demand(len(alerts) == sum("alert" in rule for rule in rules), "two alerts have one name")
    shown = {}
    for test in load("prometheus/alerts_test.yaml")["tests"]:
        for case in test["promql_expr_test"]:
            for name in re.findall(r'alertname="(\w+)"', case["expr"]):
                shown.setdefault(name, set()).add("firing" if case["exp_samples"] else "silent")
    demand(len(alerts) >= 20, "found", len(alerts), "alerts")
    for name, alert in alerts.items():
        demand(alert["labels"]["severity"] in ("critical", "warning"), name, "has no severity")
        for annotation in ("summary", "description"):
            demand(alert["annotations"].get(annotation, "").endswith("."), name, "has no", annotation)
        demand(alert["annotations"].get("runbook_url", "").startswith("docs/operations.md#"), name, "has no runbook")
        for state in ("firing", "silent"):
            demand(state in shown.get(name, ()), name, "is never tested", state)
    demand(not shown.keys() - alerts.keys(), "tests of no alert:", shown.keys() - alerts.keys())
    replicas = load("kubernetes/base/deployment.yaml")["spec"]["replicas"]
    demand(alerts["PushvaultReplicasMissing"]["expr"].endswith(f"< {replicas}"), "alerts.yaml counts other replicas than the base")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"alerts: {len(alerts)}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
