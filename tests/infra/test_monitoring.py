"""infra/monitoring: every alert fires and stays silent, and every metric is one that is there."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.generation.ray_actors import generate
from pipeline.storage.local import LocalStore
from tests.standins.standin_teacher import StandinTeacher, make_plan

MONITORING = Path(__file__).parents[2] / "infra" / "monitoring"
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
# Metrics that a run of two workers on this machine does not show, and why.
UNSEEN = {
    "ray_node_gpus_utilization": "no GPU",
    "ray_node_gram_used": "no GPU",
    "ray_onesketch_distill_samples_per_s": "of distillation",
    "ray_onesketch_distill_loss": "of distillation",
    "kuberay_job_deployment_status": "of KubeRay's operator",
}
_METRIC = re.compile(r"\b(?:ray|kuberay)_\w+")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool", path=PATH)
    if tool is None:
        pytest.skip("promtool is not there: infra/monitoring/get-promtool.sh .venv/bin gets it")
    return subprocess.run([tool, *arguments], cwd=MONITORING, capture_output=True, text=True)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    targets = [target for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + [target["expr"] for target in targets]


def test_rules_pass_their_unit_tests() -> None:
    checked = promtool("check", "rules", "rules.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = promtool("test", "rules", "rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((MONITORING / "rules.test.yml").read_text())["tests"]
    outcomes = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in tests
        for case in test["alert_rule_test"]
    }
    names = {rule["alert"] for rule in rules()}
    assert outcomes == {(name, fires) for name in names for fires in (True, False)}


@pytest.mark.parametrize("old", ["> 0.3", "== 0", "> 0.01", "> 3", "> 90", "> 0.9"])
def test_a_changed_threshold_fails_the_unit_tests(tmp_path: Path, old: str) -> None:
    text = (MONITORING / "rules.yml").read_text()
    assert old in text
    (tmp_path / "rules.yml").write_text(text.replace(old, "> 1e9"))
    shutil.copy(MONITORING / "rules.test.yml", tmp_path)
    assert promtool("test", "rules", str(tmp_path / "rules.test.yml")).returncode != 0


def test_each_alert_says_what_to_do() -> None:
    page = (MONITORING.parents[1] / "docs" / "cluster.md").read_text()
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in page] == []


def test_expressions_of_the_dashboard_parse(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_lie_beside_each_other() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels())
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(taken)) == len(taken) and max(x for x, _ in taken) < 24


def test_kubernetes_keeps_what_alerts_and_panels_need() -> None:
    monitor = yaml.safe_load(
        (MONITORING.parent / "kuberay" / "shared" / "pod-monitor.yaml").read_text()
    )
    kept = monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"][0]["regex"]
    used = {name for text in expressions() for name in _METRIC.findall(text)}
    of_nodes = {name for name in used if name.startswith("ray_")}
    assert [name for name in of_nodes if not re.fullmatch(kept, name)] == []


def scraped() -> str:
    """What Prometheus would collect from this node now."""
    import ray

    node = ray.nodes()[0]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.ray
def test_every_metric_is_seen_in_a_real_run(local_ray: None, tmp_path: Path) -> None:
    used = {name for text in expressions() for name in _METRIC.findall(text)}
    assert used >= UNSEEN.keys(), "a reason for a metric that nothing uses"
    missing = used - UNSEEN.keys()
    # A worker that dies and samples that are given up: their counters begin with the first.
    factory = functools.partial(StandinTeacher, deadly=frozenset({10}), poison=frozenset({3}))
    store = LocalStore(tmp_path / "dataset")
    labelled = re.compile(rf'^ray_onesketch_pairs_total\{{.*dataset="{store.url}".*style=', re.M)
    is_labelled = False
    with ThreadPoolExecutor(1) as pool:
        plan = make_plan(22, 8)
        run = pool.submit(generate, plan, store, factory, 2, 0.0, lambda *_, **__: None)
        until_s = time.monotonic() + 90
        # Gauges come and go.
        while (missing or not is_labelled) and time.monotonic() < until_s:
            text = scraped()
            missing -= set(re.findall(r"^(\w+)[{ ]", text, re.M))
            is_labelled = is_labelled or labelled.search(text) is not None
            time.sleep(0.3)
        run.result()
    assert missing == set()
    assert is_labelled
