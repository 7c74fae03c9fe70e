"""Components with state: what of Dagster's the component stands on, in every version that is
supported."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

from dagster_transform.dagster._compat_components import (
    AssetAttributesModel,
    DefsStateConfig,
    DefsStateConfigArgs,
    StateBackedComponent,
    TranslationFnResolver,
    component_at,
    file_of,
    is_local,
)


def test_dagster_has_components_with_state() -> None:
    assert issubclass(StateBackedComponent, dg.Component)
    assert {"defs_state_config", "build_defs_from_state", "write_state_to_path"} <= (
        StateBackedComponent.__abstractmethods__
    )
    taken = inspect.signature(StateBackedComponent.build_defs_from_state).parameters
    assert list(taken) == ["self", "context", "state_path"]


@pytest.mark.parametrize(
    ("args", "local"),
    [
        (DefsStateConfigArgs.local_filesystem(), True),
        (DefsStateConfigArgs.versioned_state_storage(), False),
        (DefsStateConfigArgs.legacy_code_server_snapshots(), False),
    ],
)
def test_where_a_state_is_kept(args: DefsStateConfigArgs, local: bool) -> None:
    config = DefsStateConfig.from_args(args, default_key="x")
    assert (config.key, config.refresh_if_dev) == ("x", True)
    assert is_local(config) is local


def test_a_state_is_written_and_read_where_the_component_says(tmp_path: Path) -> None:
    """A file under `.local_defs_state`, and the component is given its path."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "somewhere"\n'
        'defs_module = "tests.support"\n',
        encoding="utf-8",
    )
    seen: list[str | None] = []

    class Stateful(StateBackedComponent):
        @property
        def defs_state_config(self) -> DefsStateConfig:
            return DefsStateConfig.from_args(
                DefsStateConfigArgs.legacy_code_server_snapshots(), default_key="k"
            )

        def write_state_to_path(self, state_path: Path) -> None:
            state_path.write_text("written", encoding="ascii")

        def build_defs_from_state(
            self, context: dg.ComponentLoadContext, state_path: Path | None
        ) -> dg.Definitions:
            seen.append(None if state_path is None else state_path.read_text(encoding="ascii"))
            return dg.Definitions()

    DefinitionsLoadContext.set(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION))
    from dagster.components.core.component_tree import ComponentTree

    Stateful().build_defs(ComponentTree.for_test().load_context)
    assert seen == ["written"]
    assert asyncio.iscoroutinefunction(Stateful().refresh_state)


def test_attributes_of_a_yaml_file_know_their_file(tmp_path: Path) -> None:
    files: list[Path | None] = []

    class Seeing(dg.Component, dg.Resolvable, dg.Model):
        x: int

        @classmethod
        def load(cls, attributes: object, context: dg.ComponentLoadContext) -> Seeing:
            files.append(file_of(context.resolution_context))
            return cls(x=1)

        def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
            return dg.Definitions()

    Seeing.from_attributes_dict(attributes={"x": 1})
    assert files == [None]


def test_a_translation_replaces_and_merges() -> None:
    resolver = TranslationFnResolver[str](lambda data: {"data": data})
    model = AssetAttributesModel(key="{{ data }}/b", tags={"x": "{{ data }}"}, group_name="g")
    translate = resolver.fn.callable(dg.ResolutionContext.default(), model)
    spec = translate(dg.AssetSpec("a", tags={"y": "1"}), "top")
    assert spec.key == dg.AssetKey(["top", "b"])
    assert dict(spec.tags) == {"x": "top", "y": "1"}
    assert spec.group_name == "g"


@pytest.mark.filterwarnings("ignore:.*parse_obj_as:DeprecationWarning")  # Dagster's own
def test_the_component_of_a_file_is_loaded_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One among others of its file, and without those of other folders."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "of_contract"\n',
        encoding="utf-8",
    )
    defs = tmp_path / "of_contract" / "defs"
    for name, module in (("one", "One"), ("two", "Other")):
        (defs / name).mkdir(parents=True)
        text = f"type: of_contract.kinds.{module}\nattributes: {{x: 1}}\n"
        (defs / name / "defs.yaml").write_text(text, encoding="utf-8")
    both = "---\n".join(
        f"type: of_contract.kinds.{kind}\nattributes: {{x: 2}}\n" for kind in ("One", "Other")
    )
    (defs / "both").mkdir()
    (defs / "both" / "defs.yaml").write_text(both, encoding="utf-8")
    (tmp_path / "of_contract" / "__init__.py").touch()
    (defs / "__init__.py").touch()
    (tmp_path / "of_contract" / "kinds.py").write_text(
        "import dagster as dg\n\n\n"
        + "\n\n".join(
            f"class {kind}(dg.Component, dg.Resolvable, dg.Model):\n    x: int\n\n"
            "    def build_defs(self, context):\n        return dg.Definitions()\n"
            for kind in ("One", "Other")
        ),
        encoding="utf-8",
    )
    from of_contract.kinds import One  # type: ignore[import-not-found]

    assert component_at(defs / "one", One).x == 1
    assert component_at(defs / "both", One).x == 2
    with pytest.raises(LookupError):
        component_at(defs / "two", One)
