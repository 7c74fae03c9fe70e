"""transform.yaml as a document: variables, and where and what its errors are."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dagster_transform.config import (
    ConfigError,
    SqlmeshProject,
    load_config,
)
from tests.support.config_files import SMALL, errors, write


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "marts")
    monkeypatch.setenv("COUNT", "3")
    monkeypatch.setenv("BLANK", "")
    write(
        """
        max_concurrent_models: ${COUNT}
        projects:
          marts:
            framework: sqlmesh
            path: ["${WHERE}", "${NOT_SET:-more}"]
            environment: a_${WHERE}_${NOT_SET:-x}_${BLANK:-y}_${BLANK}_$${WHERE}_$WHERE
            gateway: ${NOT_SET:-}
        """
    )
    config = load_config()
    project = config.project("marts")
    assert isinstance(project, SqlmeshProject)
    assert config.max_concurrent_models == 3
    assert [path.name for path in project.paths] == ["marts", "more"]
    assert project.environment == "a_marts_x_y__${WHERE}_$WHERE"
    assert project.gateway is None


def test_the_value_of_a_variable_is_not_expanded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "${NOT_SET}")
    write("projects: {a: {framework: sqlmesh, path: marts, environment: '${OUTER}'}}")
    project = load_config().project("a")
    assert isinstance(project, SqlmeshProject)
    assert project.environment == "${NOT_SET}"


def test_all_errors_of_a_file_come_at_once_in_its_order() -> None:
    assert errors(
        """
        max_concurrent_models: 0
        projects:
          marts:
            framework: sqlmesh
            path: gone
            enviroment: dev
            plan: atuo
            gateway: ${NOT_SET}
          bad-name:
            framework: dbt
            path: staging
            target: 5
            target: ci
          staging:
            framework: dbt
        more: 1
        """
    ) == [
        "transform.yaml:1:1: max_concurrent_models: must be greater than or equal to 1",
        "transform.yaml:5:5: projects.marts.path: 'gone' does not exist",
        (
            "transform.yaml:6:5: projects.marts.enviroment: unknown key; "
            "did you mean 'environment'? "
            "known keys: framework, path, environment, gateway, plan, column_lineage, "
            "catalog_in_key, janitor, watch, select, exclude, key_prefix, source_keys, checks, "
            "require_passing_checks"
        ),
        "transform.yaml:7:5: projects.marts.plan: must be 'never' or 'auto'",
        "transform.yaml:8:5: projects.marts.gateway: the environment variable NOT_SET is not set",
        (
            "transform.yaml:9:3: projects.bad-name: a project's name has letters, digits and "
            "underscores, and does not begin with a digit"
        ),
        "transform.yaml:12:5: projects.bad-name.target: must be a string; put it in quotes",
        "transform.yaml:13:5: projects.bad-name.target: duplicate key, first in line 12",
        "transform.yaml:14:3: projects.staging.path: missing key",
        (
            "transform.yaml:16:1: more: unknown key; known keys: projects, max_concurrent_models, "
            "check_concurrency, check_jobs, job_groups, alerts, "
            "freshness_grace, tags, connections, artifacts, webserver, claims_url, claims_lease, "
            "claims_heartbeat, keep_event_log_open, warm"
        ),
    ]


MARTS = "projects:\n  marts:\n    framework: sqlmesh\n    path: marts\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: projects: missing key"]),
        ("- a", ["1:1: must be a mapping"]),
        ("projects:", ["1:1: projects: must be a mapping"]),
        ("projects:\n  a: 5", ["2:3: projects.a: must be a mapping"]),
        ("projects:\n  a: {}", ["2:3: projects.a.framework: missing key"]),
        (
            "projects:\n  a:\n    framework: dtb\n    path: marts",
            ["3:5: projects.a.framework: must be 'sqlmesh' or 'dbt'"],
        ),
        (
            "projects:\n  a:\n    framework: ${NOT_SET}",
            ["3:5: projects.a.framework: the environment variable NOT_SET is not set"],
        ),
        (
            "projects:\n  a:\n    framework: dbt\n    path: [staging]",
            ["4:5: projects.a.path: must be a path"],
        ),
        (
            "projects:\n  a:\n    framework: sqlmesh\n    path:\n      - marts\n      - gone",
            ["6:9: projects.a.path[1]: 'gone' does not exist"],
        ),
        (
            "projects:\n  a:\n    framework: sqlmesh\n    path: transform.yaml",
            ["4:5: projects.a.path: 'transform.yaml' is not a folder"],
        ),
        (
            "projects:\n  a:\n    framework: sqlmesh\n    path: ''",
            ["4:5: projects.a.path: must not be empty"],
        ),
        (
            "projects:\n  a:\n    framework: dbt\n    path: staging\n    profiles_dir: gone",
            ["5:5: projects.a.profiles_dir: 'gone' does not exist"],
        ),
        (
            "projects:\n  a:\n    framework: dbt\n    path: staging\n    checks: later",
            ["5:5: projects.a.checks: must be 'after_each', 'after_all', 'apart' or 'none'"],
        ),
        (
            "projects:\n  a:\n    framework: dbt\n    path: staging\n    checks: {cron: '@daily'}",
            ["5:14: projects.a.checks.cron: needs checks that run apart"],
        ),
        (
            "projects: {}\ncheck_jobs:\n  at night: {}",
            [
                (
                    "3:3: check_jobs.at night: a job's name has letters, digits and underscores, "
                    "and does not begin with a digit"
                )
            ],
        ),
        (MARTS + "    environment: ''", ["5:5: projects.marts.environment: must not be empty"]),
        (
            MARTS + "    environment: on",
            ["5:5: projects.marts.environment: must be a string; put it in quotes"],
        ),
        (
            MARTS + "    environment: ${1X}",
            [
                (
                    "5:5: projects.marts.environment: malformed variable; "
                    "${NAME} or ${NAME:-default} is expected"
                )
            ],
        ),
        (
            MARTS + "    environment: ${NOT_SET:-${OTHER}}",
            [
                (
                    "5:5: projects.marts.environment: malformed variable; "
                    "${NAME} or ${NAME:-default} is expected"
                ),
                "5:5: projects.marts.environment: the environment variable OTHER is not set",
            ],
        ),
        (
            MARTS + "    password: hunter2",
            [
                (
                    "5:5: projects.marts.password: unknown key; "
                    "known keys: framework, path, environment, gateway, plan, column_lineage, "
                    "catalog_in_key, janitor, watch, select, exclude, key_prefix, source_keys, "
                    "checks, require_passing_checks"
                )
            ],
        ),
        (
            MARTS + "  marts: {framework: sqlmesh, path: gone}",
            ["5:3: projects.marts: duplicate key, first in line 2"],
        ),
        (
            MARTS + "root: x",
            [
                (
                    "5:1: root: unknown key; known keys: projects, max_concurrent_models, "
                    "check_concurrency, check_jobs, job_groups, alerts, "
                    "freshness_grace, tags, connections, artifacts, webserver, claims_url, "
                    "claims_lease, claims_heartbeat, keep_event_log_open, warm"
                )
            ],
        ),
        (
            MARTS + "max_concurrent_models: true",
            ["5:1: max_concurrent_models: must be a valid integer"],
        ),
        (
            MARTS + "max_concurrent_models: many",
            [
                (
                    "5:1: max_concurrent_models: must be a valid integer, "
                    "unable to parse string as an integer"
                )
            ],
        ),
        (
            MARTS + "    gateway: !!int x",
            ["5:5: projects.marts.gateway: can't be read as !!int"],
        ),
        (MARTS + "    gateway: !env X", ["5:5: projects.marts.gateway: can't be read as !env"]),
        (
            MARTS + "    <<: {gateway: x}",
            ["5:5: projects.marts: merge keys (<<) are not supported; write the settings out"],
        ),
        (MARTS + "? [a]\n: b", ["5:3: a key must be a plain word"]),
        ("projects: &p\n  a: *p", ["2:3: projects.a: an alias to what it is in"]),
        (
            "projects:\n  marts: [",
            [
                (
                    "2:11: not valid YAML: while parsing a flow node, "
                    "expected the node content, but found '<stream end>'"
                )
            ],
        ),
        ("projects: *p", ["1:11: not valid YAML: found undefined alias 'p'"]),
        ("a\x07: 1", ["1:2: not valid YAML: special characters are not allowed"]),
        ("[" * 5000, ["1:1: not valid YAML: nested too deeply"]),
        (
            "a: 1\n---\nb: 2",
            [
                (
                    "2:1: not valid YAML: expected a single document in the stream, "
                    "but found another document"
                )
            ],
        ),
    ],
)
def test_where_and_what(text: str, expected: list[str]) -> None:
    assert errors(text) == [f"transform.yaml:{line}" for line in expected]


@pytest.mark.parametrize("name", ["1a", "a.b", "a b", '"a\\n"', "é", '""', "${HOME}"])
def test_bad_project_names(name: str) -> None:
    (line,) = errors(f"projects:\n  {name}: {{framework: dbt, path: staging}}")
    assert "a project's name has letters" in line


def test_not_utf8(folder: Path) -> None:
    (folder / "transform.yaml").write_bytes(b"projects:\n  a: \xff")
    with pytest.raises(ConfigError, match=r"^transform.yaml:2:6: not UTF-8"):
        load_config()


def test_a_byte_order_mark_is_no_content(folder: Path) -> None:
    (folder / "transform.yaml").write_bytes(b"\xef\xbb\xbf" + dedent(SMALL).encode())
    assert set(load_config().projects) == {"marts", "staging"}


SECRET = "s3cr3t/value"


@pytest.mark.parametrize(
    "text",
    [
        "max_concurrent_models: ${SECRET}\n" + MARTS,
        MARTS + "    plan: ${SECRET}",
        MARTS + "    password: ${SECRET}",
        "projects:\n  a: ${SECRET}",
        "projects: ${SECRET}",
        "projects:\n  a: {framework: '${SECRET}', path: marts}",
        "projects:\n  a: {framework: dbt, path: '${SECRET}'}",
        "projects:\n  a: {framework: dbt, path: ['${SECRET}']}",
        "${SECRET}",
    ],
)
def test_no_error_shows_the_value_of_a_variable(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    write(text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(caught.value.problems)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_aliases_that_multiply_are_an_error_and_not_gigabytes() -> None:
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    write("\n".join([*bomb, "projects: {}"]))
    with pytest.raises(ConfigError, match="more than 100,000 values") as raised:
        load_config()
    assert "write the settings out" in str(raised.value)


def test_an_alias_that_is_used_twice_is_no_error() -> None:
    write(
        """
        projects:
          a: {framework: sqlmesh, path: &where marts}
          b: {framework: sqlmesh, path: *where}
        """
    )
    assert {p.paths[0].name for p in load_config().projects.values()} == {"marts"}


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "0", "-1", "true"])
@pytest.mark.parametrize("key", ["claims_lease", "claims_heartbeat"])
def test_seconds_are_finite_and_above_zero(key: str, value: str) -> None:
    [error] = errors(f"{key}: {value}\n{dedent(SMALL)}")
    assert error.startswith(f"transform.yaml:1:1: {key}: ")


@pytest.mark.parametrize("path", ["x" * 5_000, "marts/" + "y" * 300, '"a\\0b"'])
def test_a_path_that_no_file_system_takes_is_told_as_one(path: str) -> None:
    [error] = errors(f"projects: {{a: {{framework: sqlmesh, path: {path}}}}}")
    assert "projects.a.path" in error
    assert "can't be used" in error


@pytest.mark.parametrize("path", ["x" * 5_000, "a\0b"])
def test_a_file_that_no_file_system_takes_is_told_as_one(path: str) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(path)
