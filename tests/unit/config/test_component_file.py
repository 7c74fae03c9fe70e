"""defs.yaml as transform.yaml: attributes of a component, with Dagster's templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.config import ConfigError, load_config
from dagster_transform.config.component_file import TemplateError, filled_in

TYPE = "type: dagster_transform.TransformComponent\n"
PROJECTS = "attributes:\n  projects:\n    a: {framework: dbt, path: dbt}\n"


@pytest.fixture(autouse=True)
def dbt_folder(folder: Path) -> None:
    (folder / "dbt").mkdir()


def written(text: str, name: str = "defs.yaml") -> Path:
    file = Path(name)
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(written(text))
    return [str(problem) for problem in caught.value.problems]


def test_the_attributes_are_the_configuration(folder: Path) -> None:
    config = load_config(written(TYPE + PROJECTS + "  max_concurrent_models: 3\n"))
    assert config.max_concurrent_models == 3
    assert config.project("a").paths == (folder / "dbt",)
    assert config.root == folder
    assert config.file == folder / "defs.yaml"


def test_a_folder_without_transform_yaml_has_the_component(folder: Path) -> None:
    written(TYPE + PROJECTS)
    assert load_config(folder).file.name == "defs.yaml"
    written("projects: {b: {framework: dbt, path: dbt}}", "transform.yaml")
    assert list(load_config(folder).projects) == ["b"]


def test_what_the_component_has_itself_is_left_out() -> None:
    own = "  name: other\n  executor: false\n  defs_state: {management_type: LOCAL_FILESYSTEM}\n"
    text = TYPE + PROJECTS + own + "  translation: {group_name: '{{ node.schema }}'}\n"
    assert list(load_config(written(text)).projects) == ["a"]


def test_who_says_how_nodes_are_called() -> None:
    """Then the command line has to ask the component; else it need not load Dagster for it."""
    translation = "  translation: {group_name: '{{ node.schema }}'}\n"
    assert not load_config(written(TYPE + PROJECTS)).translated_by_component
    assert load_config(written(TYPE + PROJECTS + translation)).translated_by_component
    assert load_config(written("type: mine.MyTransform\n" + PROJECTS)).translated_by_component
    plain = "projects:\n  a: {framework: dbt, path: dbt}\n"
    assert not load_config(written(plain, "transform.yaml")).translated_by_component


def test_an_unknown_attribute_is_named_at_its_line() -> None:
    (problem,) = problems_of(TYPE + PROJECTS + "  alrets: {}\n")
    assert problem.startswith("defs.yaml:5:3: alrets: unknown key; did you mean 'alerts'?")


def test_a_type_of_ones_own_may_have_attributes_of_its_own() -> None:
    text = "type: mine.MyTransform\n" + PROJECTS + "  flavour: sweet\n"
    assert list(load_config(written(text)).projects) == ["a"]


def test_places_are_those_of_the_file() -> None:
    (problem,) = problems_of(TYPE + PROJECTS.replace("path: dbt}", "path: nowhere}"))
    assert problem == "defs.yaml:4:25: projects.a.path: 'nowhere' does not exist"


def test_one_transform_among_other_components() -> None:
    other = "type: shop.Other\nattributes: {x: 1}\n"
    assert list(load_config(written(f"{other}---\n{TYPE}{PROJECTS}")).projects) == ["a"]
    (problem,) = problems_of(other)
    assert "no transform: nothing in it is a dagster_transform.TransformComponent" in problem
    (problem,) = problems_of(f"{TYPE}{PROJECTS}---\n{TYPE}{PROJECTS}")
    assert "2 transforms in one file" in problem


@pytest.mark.parametrize("text", [TYPE, TYPE + "attributes: {}\n", TYPE + "attributes:\n"])
def test_without_projects(text: str) -> None:
    (problem,) = problems_of(text)
    assert problem.endswith("missing key")
    assert "projects" in problem


def test_variables_and_templates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N", "7")
    monkeypatch.setenv("TARGET", "{{ env.SECRET }}")
    (folder / "dg.toml").write_text("", encoding="utf-8")
    text = (
        TYPE + "attributes:\n"
        "  max_concurrent_models: '{{ env.N }}'\n"
        "  check_concurrency: ${N}\n"
        "  projects:\n"
        "    a:\n"
        "      framework: dbt\n"
        "      path: '{{ context.project_root }}/dbt'\n"
        "      target: ${TARGET}\n"
        "      profiles_dir: \"{{ env('NOT_SET', 'dbt') }}\"\n"
    )
    config = load_config(written(text))
    assert (config.max_concurrent_models, config.check_concurrency) == (7, 7)
    project = config.project("a")
    assert project.paths == (folder / "dbt",)
    assert project.target == "{{ env.SECRET }}", "a value is no template"  # type: ignore[union-attr]
    assert project.profiles_dir == folder / "dbt"  # type: ignore[union-attr]


def test_templates_are_text_in_transform_yaml() -> None:
    text = "projects: {a: {framework: dbt, path: dbt, vars: {x: '{{ this }}'}}}"
    config = load_config(written(text, "transform.yaml"))
    assert config.project("a").vars == {"x": "{{ this }}"}  # type: ignore[union-attr]


def test_templates_that_can_not_be_filled_in(folder: Path) -> None:
    text = TYPE + PROJECTS + "  artifacts: '{{ env.NOT_SET }}'\n  claims_url: '{{ other() }}'\n"
    first, second = problems_of(text)
    assert first == (
        "defs.yaml:5:3: artifacts: the environment variable NOT_SET is not set; "
        "env('NOT_SET', '') does without it"
    )
    assert "defs.yaml:6:3: claims_url: the template {{ other() }} can't be filled in" in second
    with pytest.raises(TemplateError, match=r"no project of dg above"):
        filled_in("{{ project_root }}", folder / "defs.yaml")


def test_the_root_of_a_project_is_where_dg_finds_it(folder: Path) -> None:
    inside = folder / "src" / "defs"
    inside.mkdir(parents=True)
    (folder / "src" / "pyproject.toml").write_text("[tool.other]\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text("[tool.dg]\nx = 1\n", encoding="utf-8")
    assert filled_in("{{ context.project_root }}", inside / "defs.yaml") == str(folder)
