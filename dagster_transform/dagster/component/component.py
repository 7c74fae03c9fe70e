"""The component: what a transform.yaml says, as attributes of a defs.yaml.

No `from __future__ import annotations`: Dagster reads the types of the fields.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import dagster as dg
from pydantic import BaseModel

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.dagster._compat_components import (
    DefsStateConfig,
    DefsStateConfigArgs,
    ResolutionException,
    ResolvedDefsStateConfig,
    StateBackedComponent,
    TranslationFn,
    TranslationFnResolver,
    file_of,
    is_local,
)
from dagster_transform.dagster.component.attributes import attributes_model
from dagster_transform.dagster.component.errors import NoFileError
from dagster_transform.dagster.component.scaffolder import TransformScaffolder
from dagster_transform.dagster.component.state import prepare_leniently, restore, write_state
from dagster_transform.dagster.component.templates import in_templates
from dagster_transform.dagster.component.translator import ComponentTranslator, base_spec
from dagster_transform.dagster.definitions.build import definitions_of
from dagster_transform.dagster.definitions.loading import in_development, load_graphs, prepare
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node

if TYPE_CHECKING:
    Config = TransformConfig
else:
    # Dagster would make attributes of its fields, and does not take their types.
    Config = Any

_LOADING: ContextVar[bool] = ContextVar("dagster_transform_component_loads", default=False)


def _config_of(context: dg.ResolutionContext, _: BaseModel) -> TransformConfig:
    """From the file itself, so that an error says its line, and that the command line reads the
    same."""
    file = file_of(context)
    try:
        if file is None:
            raise NoFileError
        return load_config(file)
    except TransformError as error:
        # Of any other error Dagster shows where it was raised.
        raise ResolutionException(str(error)) from None


@dg.scaffold_with(TransformScaffolder)
@dataclass
class TransformComponent(StateBackedComponent, dg.Resolvable):
    """SQLMesh and dbt projects as assets, audits and tests as asset checks, with their job groups,
    schedules, sensors and alerts.

    The attributes are the keys of transform.yaml (docs/transform-yaml.md), and `name`, `executor`,
    `translation` and `defs_state`. Relative paths begin in the folder of the YAML file.

    Attributes:
        config: What the attributes say; in Python: `load_config("transform.yaml")`.
        translation: How assets look, as attributes with templates of `node`.
        name: Of the transform: its op, and the first part of its jobs' and sensor's names.
        executor: Whether `transform_executor()` is set as the code location's executor.
        defs_state: Where the state is kept: the graph files of all projects.
    """

    config: Annotated[
        Config,
        dg.Resolver.from_model(
            _config_of, model_field_name="projects", model_field_type=Mapping[str, Any]
        ),
    ]
    translation: Annotated[
        Annotated[
            TranslationFn[Node],
            TranslationFnResolver[Node](lambda node: {"node": in_templates(node)}),
        ]
        | None,
        dg.Resolver.default(
            description="How assets look: attributes of assets, with templates of `node` (name, "
            "project, framework, kind, catalog, schema, table, key, group, tags, owners, "
            "description, cron, time_zone, path, properties) and `spec`.",
            examples=[{"group_name": "{{ node.schema }}"}],
        ),
    ] = None
    name: Annotated[
        str,
        dg.Resolver.default(
            description="Of the transform: its op, and the first part of its jobs' and its "
            "sensor's names. Two transforms in one code location need different ones.",
            examples=["transform"],
        ),
    ] = "transform"
    executor: Annotated[
        bool,
        dg.Resolver.default(
            description="Whether the code location's executor is set (in process, so that a failed "
            "model stops no Python asset that does not need it). Set it to false where the code "
            "location has one of its own.",
            examples=[False],
        ),
    ] = True
    defs_state: ResolvedDefsStateConfig = field(
        default_factory=DefsStateConfigArgs.local_filesystem
    )

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes: those of this class, and the keys of transform.yaml."""
        return attributes_model(cls.model())

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where the state is kept, by default under a key of folder and projects."""
        projects = "+".join(self.config.projects)
        return DefsStateConfig.from_args(
            self.defs_state, default_key=f"TransformComponent[{self.config.root.name}/{projects}]"
        )

    def get_asset_spec(self, node: Node) -> dg.AssetSpec:
        """How a node looks in Dagster; override it to change more than `translation` can.

        Args:
            node: A SQLMesh model; a dbt model, seed or snapshot.

        Returns:
            The spec without its dependencies, which the projects' files decide.
        """
        spec = base_spec(node, self.config.root)
        return spec if self.translation is None else self.translation(spec, node)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions. Where people edit files (`dagster dev`, `dg`), graph files that are
        missing or older than their project's files are made anew before, unless `refresh_if_dev`
        is false."""
        state = self.defs_state_config
        if in_development() and state.refresh_if_dev and is_local(state):
            # The graph files are the state: Dagster would have all of them made anew, each time.
            return self.build_defs_from_state(context, None)
        with _loading():
            return super().build_defs(context)

    def build_defs_from_state(
        self,
        context: dg.ComponentLoadContext,  # noqa: ARG002 - Dagster gives it
        state_path: Path | None,
    ) -> dg.Definitions:
        """The definitions.

        Args:
            context: Of Dagster.
            state_path: The graph files of all projects, as they were when the state was written;
                one that was prepared since goes before.
        """
        if state_path is not None:
            restore(self.config, state_path)
        return definitions_of(
            self.config,
            translator=translator_of(self),
            executor=self.executor,
            name=self.name,
            refresh=in_development() and self.defs_state_config.refresh_if_dev,
        )

    def write_state_to_path(self, state_path: Path) -> None:
        """What `dagster-transform prepare` does, and a copy of the graph files as Dagster's state.

        Raises:
            PrepareFailedError: A project can't be read. (While a code location loads, it is shown
                as `<project>/not_loaded` instead.)
        """
        if not _LOADING.get():
            prepare(self.config, list(self.config.projects))
        elif in_development():
            load_graphs(self.config, refresh=True)
        else:
            prepare_leniently(self.config)
        write_state(self.config, state_path)


def translator_of(component: TransformComponent) -> TransformTranslator:
    """What asks a component's `get_asset_spec` of each node; the plain one where it translates
    nothing."""
    root = component.config.root
    own = type(component).get_asset_spec is not TransformComponent.get_asset_spec
    if own or component.translation is not None:
        return ComponentTranslator(root, component.get_asset_spec)
    return TransformTranslator(root)


@contextmanager
def _loading() -> Iterator[None]:
    """Whatever writes the state meanwhile does so for a code location that loads."""
    token = _LOADING.set(True)
    try:
        yield
    finally:
        _LOADING.reset(token)
