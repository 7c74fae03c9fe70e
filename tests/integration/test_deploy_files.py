"""deploy/: Dagster reads what is for Dagster, the Helm values are what its launcher takes, and the
Dockerfile names what is there and does what works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema
from packaging.requirements import Requirement

from tests.support.deploy_files import DEPLOY, command_of, dockerfile, helm_values, snake
from tests.support.folders import REPOSITORY
from tests.support.postgres import PostgresDatabase

DAGSTER = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))


@pytest.mark.postgres
def test_dagster_reads_its_configuration(
    tmp_path: Path, postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.run_coordinator import QueuedRunCoordinator

    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_database.url)
    with closing(_Disposed(dg.DagsterInstance.from_config(str(tmp_path)))) as kept:
        instance = kept.instance
        assert instance.get_runs_count() == 0
        assert "postgres" in type(instance.run_storage).__module__
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, QueuedRunCoordinator)
        (limit,) = coordinator.get_run_queue_config().tag_concurrency_limits
        assert limit["key"] == "dagster_transform/job_group"
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 21600


class _Disposed:
    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def close(self) -> None:
        self.instance.dispose()


# -- Helm -----------------------------------------------------------------------------------------


def _errors(schema: Any, config: Any) -> list[str]:
    return [error.message for error in process_config(schema, config).errors or []]


def test_the_launcher_takes_the_helm_values() -> None:
    """The chart writes them into dagster.yaml with underscores, and adds names that it knows."""
    from dagster_k8s import K8sRunLauncher

    values = dict(helm_values()["runLauncher"]["config"]["k8sRunLauncher"])
    by_chart = {"dagster_home": "/opt/dagster", "instance_config_map": "x",
                "postgres_password_secret": "x", "service_account_name": "x"}  # fmt: skip
    values["runK8sConfig"] = snake(values["runK8sConfig"], levels=1)
    config = {**snake(values, levels=1), **by_chart}
    assert _errors(K8sRunLauncher.config_type(), config) == []
    assert _errors(K8sRunLauncher.config_type(), {**config, "no_such": 1}) != []
    pod = config["run_k8s_config"]["pod_spec_config"]
    assert pod["terminationGracePeriodSeconds"] >= 60


def test_kubernetes_takes_what_is_in_them() -> None:
    from dagster_k8s.container_context import K8sContainerContext

    deployment = helm_values()["dagster-user-deployments"]["deployments"][0]
    kept = {"volumes", "volumeMounts", "resources", "securityContext"}
    context = {snake_name(k): v for k, v in deployment.items() if k in kept}
    made = K8sContainerContext.create_from_config({"k8s": context})
    assert made.run_k8s_config.pod_spec_config["volumes"]
    assert made.run_k8s_config.container_config["security_context"]


def snake_name(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_the_queue_and_monitoring_are_those_of_dagster_yaml() -> None:
    daemon = helm_values()["dagsterDaemon"]
    assert daemon["runCoordinator"]["type"] == "CustomRunCoordinator"
    coordinator = daemon["runCoordinator"]["config"]["customRunCoordinator"]
    assert coordinator == DAGSTER["run_coordinator"]
    monitoring = snake(daemon["runMonitoring"], levels=1)
    # Pods take longer to start than processes, and are asked for less often.
    longer = {"start_timeout_seconds", "poll_interval_seconds", "max_resume_run_attempts"}
    assert {k: v for k, v in monitoring.items() if k not in longer} == {
        k: v for k, v in DAGSTER["run_monitoring"].items() if k not in longer
    }
    schema = dagster_instance_config_schema()["run_monitoring"].config_type
    assert _errors(schema, monitoring) == []
    assert _errors(schema, {**monitoring, "no_such": 1}) != []


def test_the_values_have_no_secret() -> None:
    text = (DEPLOY / "helm-values.yaml").read_text(encoding="utf-8")
    assert not re.search(r"(?i)password: *\S", text)
    assert helm_values()["generatePostgresqlPasswordSecret"] is False


# -- Docker ---------------------------------------------------------------------------------------


def test_the_dockerfile_names_what_is_there() -> None:
    stages, files = dockerfile()
    assert len(stages) == 2
    missing = [name for name in files if not (REPOSITORY / name).exists()]
    assert missing == []
    last = stages[-1]
    users = [rest for instruction, rest in last if instruction == "USER"]
    assert users == ["dagster"]
    after = [i for i, _ in last[[i for i, _ in last].index("USER") :]]
    assert "RUN" in after
    assert "COPY" not in after
    assert command_of(last) == _services()["code"]["command"]


def test_what_the_image_installs_is_declared() -> None:
    (install,) = [rest for i, rest in dockerfile()[0][0] if i == "RUN"]
    named = [w.strip("'") for w in install.split("requirements.lock", 1)[1].split()]
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    for name in named[1:]:
        assert f'"{Requirement(name).name}' in text, name
    extras = re.fullmatch(r"\.\[(.*)\]", named[0])
    assert extras
    assert all(f"\n{extra} = [" in text for extra in extras[1].split(","))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_last_steps_of_the_image_work_and_runs_write_elsewhere(tmp_path: Path) -> None:
    """On a copy of what is copied into it: the graph files are made where they are read from. Then
    the copy is mounted read-only, and a run of everything writes to the folders of the image."""
    stages, _ = dockerfile()
    (run,) = [rest for i, rest in stages[-1] if i == "RUN" and "prepare" in rest]
    ignored = shutil.ignore_patterns("data", ".dagster_transform", "__pycache__", "logs", "target")
    image = tmp_path / "example_project"
    shutil.copytree(REPOSITORY / "example_project", image, ignore=ignored)
    (variables,) = [rest for i, rest in stages[-1] if i == "ENV"]
    named = dict(word.split("=", 1) for word in variables.split())
    of_runs = {"DAGSTER_HOME", "DAGSTER_TRANSFORM_ARTIFACTS", "FLIGHTS_DUCKDB",
               "FLIGHTS_SQLMESH_CACHE"}  # fmt: skip
    assert of_runs <= set(named)
    written = tmp_path / "written"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("DAGSTER")},
        **{k: str(written) + named[k] for k in of_runs},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for folder in ("data", "var/lib/transform", "opt/dagster"):
        (written / folder).mkdir(parents=True)
    (written / "opt/dagster/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    subprocess.run(run, shell=True, cwd=tmp_path, env=environment, check=True, timeout=200)
    made = {path.name: path.parent for path in tmp_path.rglob("*.graph.json")}
    assert made == dict.fromkeys(
        ("staging.graph.json", "marts.graph.json"), image / ".dagster_transform"
    )
    assert list(image.rglob("*.pyc"))
    read_only = (
        f"mount --bind {image} {image} && mount -o remount,ro,bind {image} || exit 77\n"
        f"touch {image}/x 2>/dev/null && exit 76\n"
        "exec dagster asset materialize -m example_project.definitions --select '*'"
    )
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", read_only],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def _services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))[
        "services"
    ]
    return services


def test_containers_are_read_only_and_hold_no_secret() -> None:
    for name, service in _services().items():
        if name == "postgres":
            continue
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert {"/tmp"} == set(service["tmpfs"])
        url = service["environment"]["DAGSTER_POSTGRES_URL"]
        assert "${POSTGRES_PASSWORD:?" in url
        assert url.startswith("postgresql+psycopg2://")
    (postgres,) = [s for n, s in _services().items() if n == "postgres"]
    assert "ports" not in postgres
