"""A whole transform in a folder, and what tests do with it in Dagster.

A `Transform` writes transform.yaml, SQLMesh projects, a module of definitions and a Dagster home.
`run` creates a run as the UI does and executes it in this process; `launched` gives a code server
and the default run launcher, so that a run is a process of its own; `command` runs a command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import dagster as dg
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from tests.support.launching import ASSET_JOB, code_server, create_run, remote_job
from tests.support.sqlmesh_projects import Project
from tests.support.stories import Story

LOCATION = "transform_under_test"

DEFINITIONS = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

ROOT = Path(__file__).parent
assets = []

{code}

defs = dg.Definitions.merge(build_transform_definitions(ROOT), dg.Definitions(assets=assets))
"""


def python_asset(name: str, *deps: Sequence[str], body: str = "pass", key: str = "") -> str:
    """Source of a Python asset that depends on these keys."""
    return (
        f"@dg.asset(key={key or repr([name])}, deps={[list(dep) for dep in deps]!r})\n"
        f"def {name}():\n    {body}\n\nassets.append({name})\n"
    )


class Transform:
    """Projects, definitions and a Dagster home in one folder."""

    def __init__(
        self,
        folder: Path,
        projects: Iterable[Project],
        *,
        code: str = "",
        module: str = DEFINITIONS,
        settings: Mapping[str, Any] | None = None,
        further: Mapping[str, Mapping[str, Any]] | None = None,
        **project_settings: Any,
    ) -> None:
        self.further = dict(further or {})
        self.folder = folder
        self.projects = list(projects)
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\n"
            "run_coordinator:\n"
            "  module: dagster._core.run_coordinator\n"
            "  class: DefaultRunCoordinator\n",
            encoding="utf-8",
        )
        self.configure(settings, **project_settings)
        self.module = folder / f"defs_{folder.name}.py"
        self._modules = count(1)
        self.define(code, module)

    def configure(self, settings: Mapping[str, Any] | None = None, **project_settings: Any) -> None:
        """Write transform.yaml; `project_settings` are given to each SQLMesh project, and `further`
        projects stand beside them."""
        projects = {
            p.name: {
                "framework": "sqlmesh",
                "path": str(p.folder.relative_to(self.folder)),
                "environment": p.config.environment,
                **project_settings,
            }
            for p in self.projects
        }
        projects |= self.further
        text = yaml.safe_dump({"projects": projects, **(settings or {})})
        (self.folder / "transform.yaml").write_text(text, encoding="utf-8")

    def define(self, code: str = "", module: str = DEFINITIONS) -> None:
        """Write the module of definitions."""
        text = dedent(module).lstrip("\n").replace("{code}", dedent(code))
        self.module.write_text(text, encoding="utf-8")

    def load_anew(self) -> None:
        """Have the next run in this process load the definitions anew: they are in another file
        then, for Dagster keeps those of a file that it has loaded."""
        name = f"defs_{self.folder.name}_{next(self._modules)}.py"
        self.module = self.module.rename(self.module.with_name(name))

    def graph_path(self, project: str = "p") -> Path:
        return self.folder / ".dagster_transform" / f"{project}.graph.json"

    def prepare(self) -> None:
        """Write the graph files, as `dagster-transform prepare` does, in this process."""
        from dagster_transform.cli.prepare import prepare_project
        from dagster_transform.config import load_config

        config = load_config(self.folder)
        for name in config.projects:
            prepare_project(config, name)

    # -- Dagster --------------------------------------------------------------------------------

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.home))

    def close(self) -> None:
        if "instance" in self.__dict__:
            self.instance.dispose()
            del self.__dict__["instance"]

    def repository(self) -> Any:
        sys.modules.pop(self.module.stem, None)
        return ReconstructableRepository.for_file(
            str(self.module), "defs", str(self.folder)
        ).get_definition()

    def key(self, name: str) -> dg.AssetKey:
        """The key of a model (`mart.a`), of a Python asset by its name, or of anything (`a/b`)."""
        if "/" in name:
            return dg.AssetKey(name.split("/"))
        if "." not in name:
            return dg.AssetKey([name])
        return dg.AssetKey([self.projects[0].database.catalog, *name.split(".")])

    def check_key(self, name: str) -> dg.AssetCheckKey:
        """The key of a check: `mart.a:not_null`."""
        model, _, check = name.partition(":")
        return dg.AssetCheckKey(self.key(model), check)

    def run(
        self,
        assets: Iterable[str] | None = None,
        checks: Iterable[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        check_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Story:
        """One run in this process: all assets, or these (and these checks alone). `check_options`
        are the run option `checks`.

        A run is created from the definitions as the web server does it, with the assets' checks
        unless `checks` is given, and executed as a run worker does it.
        """
        if check_options is not None:
            options["checks"] = dict(check_options)
        with self._workspace() as context:
            run = self._create(context, assets, checks, tags, options)
        return self.execute(run)

    def execute(self, run: dg.DagsterRun) -> Story:
        from dagster._utils.hosted_user_process import recon_job_from_origin

        assert run.job_code_origin is not None
        execute_run(recon_job_from_origin(run.job_code_origin), run, self.instance)
        return self.story(run.run_id)

    def job(self, name: str, config: Mapping[str, Any] | None = None, **options: Any) -> Story:
        """One run, in this process, of a job of one op."""
        sys.modules.pop(self.module.stem, None)
        repository = ReconstructableRepository.for_file(str(self.module), "defs", str(self.folder))
        job = repository.get_reconstructable_job(name)
        (op,) = job.get_definition().nodes_in_topological_order
        run_config: dict[str, Any] = {"ops": {op.name: {"config": dict(config or {})}}}
        if options:
            run_config["resources"] = {"transform": {"config": options}}
        with dg.execute_job(job, self.instance, run_config=run_config) as result:
            return self.story(result.run_id)

    def reexecute(self, parent: Story) -> Story:
        """Re-execution from asset failure, as the UI's button and automatic retries do it."""
        with self._workspace() as context:
            location = context.get_code_location(context.code_location_names[0])
            parent_run = self.instance.get_run_by_id(parent.run_id)
            assert parent_run is not None
            run = self.instance.create_reexecuted_run(
                request_context=context,
                parent_run=parent_run,
                code_location=location,
                remote_job=remote_job(context),
                strategy=ReexecutionStrategy.FROM_ASSET_FAILURE,
                use_parent_run_tags=True,
            )
        return self.execute(run)

    @contextmanager
    def launched(
        self,
        assets: Iterable[str] | None = None,
        *,
        job: str = ASSET_JOB,
        ops: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """A run in a process of its own, begun by the default launcher on a code server.

        `self.instance.run_launcher.terminate` ends it as the UI does. Yields the run's id.
        """
        with code_server(self.instance, self.module, self.folder, LOCATION) as process:
            context = process.create_request_context()
            run = self._create(context, assets, None, None, options, job_name=job, ops=ops)
            self.instance.launch_run(run.run_id, context)
            try:
                yield run.run_id
            finally:
                self._end(run.run_id)

    def _end(self, run_id: str) -> None:
        """Kill the process of a run that has not ended: its code server would wait for it."""
        story = self.story(run_id)
        if story.pid is not None and not story.status.name.startswith(("SUCC", "FAIL", "CANCELED")):
            with suppress(ProcessLookupError):
                os.kill(story.pid, signal.SIGKILL)

    def story(self, run_id: str) -> Story:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.instance.get_records_for_run(run_id, cursor=cursor)
            found.extend(page.records)
            cursor = page.cursor
            if not page.has_more:
                return Story(run_id, run.status, found)

    def stories(self) -> list[Story]:
        """All runs, oldest first."""
        return [self.story(run.run_id) for run in reversed(list(self.instance.get_runs()))]

    @contextmanager
    def _workspace(self) -> Iterator[Any]:
        sys.modules.pop(self.module.stem, None)  # Dagster keeps a module that it has loaded
        origin = LoadableTargetOrigin(
            executable_path=sys.executable,
            python_file=str(self.module),
            attribute="defs",
            working_directory=str(self.folder),
        )
        with in_process_test_workspace(self.instance, origin) as context:
            yield context

    def _create(
        self,
        context: Any,
        assets: Any,
        checks: Any,
        tags: Any,
        options: Mapping[str, Any],
        *,
        job_name: str = ASSET_JOB,
        ops: Mapping[str, Any] | None = None,
    ) -> dg.DagsterRun:
        config: dict[str, Any] = {"ops": dict(ops)} if ops else {}
        if options:
            config["resources"] = {"transform": {"config": options}}
        return create_run(
            self.instance,
            context,
            None if assets is None else {self.key(name) for name in assets},
            None if checks is None else {self.check_key(name) for name in checks},
            job_name=job_name,
            config=config,
            tags=tags,
        )

    # -- commands -------------------------------------------------------------------------------

    def environment(self, **variables: str) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith("DAGSTER")}
        return {**keep, "DAGSTER_HOME": str(self.home), **variables}

    def command(
        self, *arguments: str, timeout: float = 90, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m ...` in the folder, and return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def materialize(self, select: str, **options: Any) -> Story:
        """`dagster asset materialize --select`; returns what its run stored."""
        known = {run.run_id for run in self.instance.get_runs()}
        config = yaml.safe_dump({"resources": {"transform": {"config": options}}})
        (self.folder / "run.yaml").write_text(config, encoding="utf-8")
        done = self.command(
            "dagster", "asset", "materialize", "--select", select,
            "-f", str(self.module), "-a", "defs", "-d", str(self.folder), "-c", "run.yaml",
        )  # fmt: skip
        new = [run.run_id for run in self.instance.get_runs() if run.run_id not in known]
        assert len(new) == 1, done.stderr
        return self.story(new[0])
