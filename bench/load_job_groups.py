"""load-job-groups: from the start of a process to the snapshot of the repository, with 20 job
groups."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.load import side_of
from bench.measure import Result
from bench.project import LEVELS, ROOT, Prepared, make_models, run

NAME = "load-job-groups"
ABOUT = "Load 1,000 models with 1,000 checks in 20 job groups, as a code server does"
PARTS = 2
"""Of each level: no model reads another one of its own."""
_FILE = "twenty_groups.yaml"

_DEFINITIONS = """\
from pathlib import Path

from dagster_transform import build_transform_definitions

defs = build_transform_definitions(Path(__file__).with_name("{jobs}.yaml"))
"""
_BARE = """\

GROUPS = {groups!r}

jobs = [
    dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(dg.AssetKey(["{catalog}", *key]) for key in keys)),
    )
    for name, keys in GROUPS.items()
]
shared = dg.define_asset_job("job_groups", selection=dg.AssetSelection.assets(transform))


def launch(context):
    return dg.RunRequest(asset_selection=[])


schedules = [
    dg.ScheduleDefinition(
        name=f"{{name}}_schedule",
        job=(shared if {shared} else job),
        cron_schedule="@daily",
        execution_fn=launch,
    )
    for name, job in zip(GROUPS, jobs)
]
defs = dg.Definitions(
    assets=[transform],
    jobs=[shared] if {shared} else jobs,
    schedules=schedules,
    executor=dg.in_process_executor,
)
"""


def compare(project: Prepared) -> Result:
    """Our definitions, each group with a job of its own and all with one, against bare Dagster with
    20 schedules on one job, and with 20 asset jobs of the same assets."""
    models = make_models(project.facts["models"])
    groups: dict[str, list[tuple[str, str]]] = {}
    for number, model in enumerate(models):
        schema, _, name = model.name.partition(".")
        groups.setdefault(f"group_{model.level}_{number % PARTS}", []).append((schema, name))
    assert len(groups) == LEVELS * PARTS
    catalog = "warehouse"
    text = "job_groups:\n"
    for name, keys in groups.items():
        text += f'  {name}:\n    cron: "@daily"\n    nodes:\n'
        text += "".join(f"      - {catalog}/{schema}/{model}\n" for schema, model in keys)
    (project.ours / _FILE).write_text(text, encoding="utf-8")
    transform = (project.ours / "transform.yaml").read_text(encoding="utf-8")
    bare = project.bare
    run([sys.executable, "-m", "bench.write_bare", str(project.ours / "definitions.py"), str(bare)],
        ROOT)  # fmt: skip
    files: dict[str, Path] = {}
    for jobs in ("each", "shared"):
        (project.ours / f"{jobs}.yaml").write_text(
            f"{transform}job_groups: {{file: {_FILE}, jobs: {jobs}}}\n", encoding="utf-8"
        )
        files[jobs] = project.ours / f"definitions_{jobs}.py"
        files[jobs].write_text(_DEFINITIONS.format(jobs=jobs), encoding="utf-8")
        target = files[f"bare {jobs}"] = bare.with_name(f"bare_{jobs}.py")
        tail = _BARE.format(groups=groups, catalog=catalog, shared=jobs == "shared")
        target.write_text(bare.read_text(encoding="utf-8") + tail, encoding="utf-8")
    return Result(
        NAME,
        ABOUT,
        [
            side_of("ours", "dagster-transform, 20 jobs", files["each"]),
            side_of("theirs", "bare Dagster, 20 jobs", files["bare each"]),
            side_of("ours_shared", "dagster-transform, one job", files["shared"]),
            side_of("theirs_shared", "bare Dagster, one job", files["bare shared"]),
        ],
        {**project.facts, "groups": len(groups)},
    )
