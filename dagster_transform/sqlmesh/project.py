"""Opening a SQLMesh project, with one clear error for whatever can be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dagster_transform.config import SqlmeshProject
from dagster_transform.databases.transient import from_driver
from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.causes import LOADED, error_of
from dagster_transform.sqlmesh.configs import read_configs


def open_context(name: str, project: SqlmeshProject, paths: Sequence[str], *, load: bool) -> Any:
    """A sqlmesh Context for a project.

    Args:
        name: The project's name in transform.yaml, for messages.
        project: Its configuration.
        paths: Its folders, resolved.
        load: Whether to load the model files; a run needs only the state.

    Raises:
        SqlmeshMissingError: SQLMesh can't be imported.
        ProjectLoadError: The configuration or a model is wrong.
        DatabaseError: The database can't be reached.
    """
    sqlmesh = _compat.import_sqlmesh()
    with clear_errors(name, paths):
        configs = read_configs(paths)
        context = sqlmesh.Context(config=configs, gateway=project.gateway, load=False)
    if load:
        try:
            with clear_errors(name, paths):
                _compat.open_state(context)  # SQLMesh would make one where there is none
                context.load()
        except BaseException:
            _compat.close_connections(context)  # nobody else knows of it yet
            raise
    return context


@contextmanager
def opened(
    name: str, project: SqlmeshProject, paths: Sequence[str], what: str = LOADED
) -> Iterator[Any]:
    """A Context for a project whose model files are not loaded, closed in the end.

    Args:
        name: The project's name in transform.yaml, for messages.
        project: Its configuration.
        paths: Its folders, resolved.
        what: What can't be done with the project where the body raises; see `clear_errors`.

    Raises:
        SqlmeshError: The project or its database can't be used.
    """
    context = open_context(name, project, paths, load=False)
    try:
        with clear_errors(name, paths, what):
            yield context
    finally:
        _compat.close_connections(context)


class OpenProject:
    """A project that is worked with for longer, whose Context is opened when it is first needed.

    Args:
        name: The project's name in transform.yaml.
        config: Its configuration.
        paths: Its folders, resolved.

    Attributes:
        name: As given.
    """

    def __init__(self, name: str, config: SqlmeshProject, paths: Sequence[str]) -> None:
        self.name = name
        self._config = config
        self._paths = paths
        self._context: Any = None

    @property
    def leaves_out(self) -> bool:
        """Whether transform.yaml leaves out some of its models."""
        return bool(self._config.select or self._config.exclude)

    def open(self) -> Any:
        """Its Context: the one that is open, else a new one whose model files are not loaded.

        Raises:
            SqlmeshError: The project or its database can't be used.
        """
        if self._context is None:
            self._context = open_context(self.name, self._config, self._paths, load=False)
        return self._context

    def load_files(self) -> Any:
        """Open it anew, with its model files.

        Raises:
            SqlmeshError: The project or its database can't be used.
        """
        self.close_connections()
        self._context = open_context(self.name, self._config, self._paths, load=True)
        return self._context

    def adapters(self) -> list[Any]:
        """All engine adapters of its Context, those of the state too."""
        if self._context is None:
            return []
        adapters = list(self._context.snapshot_evaluator.adapters.values())
        return [*adapters, *_compat.state_adapters(self._context)]

    def clear_errors(self, what: str = LOADED) -> AbstractContextManager[None]:
        """See the function of that name."""
        return clear_errors(self.name, self._paths, what)

    def close_connections(self) -> None:
        """Close all connections; the next statement opens new ones."""
        if self._context is not None:
            _compat.close_connections(self._context)


@contextmanager
def clear_errors(name: str, paths: Sequence[str], what: str = LOADED) -> Iterator[None]:
    """Make what SQLMesh or a driver raises while a project is opened or read into one clear error.

    No error of a driver is chained to it: drivers put connection strings into theirs.

    Args:
        name: The project's name in transform.yaml.
        paths: Its folders.
        what: What can't be done with it, where nothing more is known.
    """
    try:
        yield
    except TransformError:
        raise
    except Exception as error:
        if _is_ours(error):
            raise  # a bug of this package: its traceback is what helps
        raise error_of(error, name, paths, what) from None


def first_error(error: BaseException) -> BaseException:
    """What a driver said first, where its connection failed again while the failure was handled
    ("connection already closed", in a rollback); else `error`."""
    while from_driver(error) and error.__context__ is not None and from_driver(error.__context__):
        error = error.__context__
    return error


def _is_ours(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(name).startswith("dagster_transform.")
