"""A YAML file as plain data that remembers where everything is written.

Where a document has variables, strings may hold `${NAME}` and `${NAME:-default}`, which stand for
environment variables; `$${` is a literal `${`. No error shows the value of a variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dagster_transform.config.component_file import (
    NoTransformError,
    TemplateError,
    attributes_of,
    filled_in,
)
from dagster_transform.errors import TransformError

Where = tuple[str | int, ...]
"""A value of the file: keys of mappings and places in lists, from the outside in."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a file.

    Attributes:
        file: The file, as it is shown: relative to the working directory where it lies below it.
        line, column: Where, both counted from 1.
        where: The value, such as `projects.marts.path[0]`; "" is the file as a whole.
        message: What is wrong; never holds the value of an environment variable.
    """

    file: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}:{self.column}: {where}{self.message}"


class ConfigError(TransformError):
    """The configuration can't be used.

    Attributes:
        problems: Everything that is wrong, in the order of the file.
    """

    def __init__(self, problems: Iterable[ConfigProblem], *, remedy: str | None = None) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__(remedy=remedy)
        # Set past the redaction: it would take "password: unknown key" for a password. Nothing in
        # a problem is a value, but for text as written in the file, which is redacted where it is
        # quoted.
        self.cause = "\n".join(map(str, self.problems))
        self.args = (self.cause if remedy is None else f"{self.cause}\n{remedy}",)


_VARIABLE = re.compile(
    r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{"
)
_TEMPLATE = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 100_000
"""Aliases of aliases make gigabytes of a few lines; nobody writes as many settings as this."""


class _TooManyValuesError(Exception):
    """The document has more values than anybody would write."""


class ConfigDocument:
    """A YAML file as plain data that remembers where everything is written.

    Args:
        file: The file.
        variables: Whether `${NAME}` stands for an environment variable; else it is a plain text.
        most_values: With more values than that it is refused; many values are read by libyaml,
            where it is there: Python takes a second for 10,000.
        attributes: Where the file may be one of Dagster's components (defs.yaml): which of a
            component's attributes are read. None: it may not be one.

    Attributes:
        problems: What was found to be wrong so far.
        marks: Line and column of every value: of its key, or of an item of a list.
        reported: Values that are wrong, of which nothing more needs to be said.
        written: Every string as it is in the file, before variables are expanded.
        component: The type of the component whose attributes were read; None: it is none.
        translates: Whether that component says itself how nodes look in Dagster.
    """

    def __init__(
        self,
        file: Path,
        *,
        variables: bool = True,
        most_values: int = _MOST_VALUES,
        attributes: Collection[str] | None = None,
    ) -> None:
        self.component: str | None = None
        self.translates = False
        self._attributes = attributes
        self.problems: list[ConfigProblem] = []
        self._variables = variables
        self._most_values = most_values
        self._values = 0  # read so far
        self._file = file
        self._shown = str(file)
        with suppress(ValueError, OSError):
            self._shown = str(file.relative_to(Path.cwd()))
        self.marks: dict[Where, tuple[int, int]] = {(): (1, 1)}
        self.written: dict[Where, str] = {}
        self.reported: set[Where] = set()

    def read(self) -> Any:
        """The data of the file, with environment variables in it. Raises ConfigError where it can't
        be read, or is no YAML."""
        return self.parse(self.text())

    def parse(self, text: str) -> Any:
        """The data of a text that stands for the file's. Raises ConfigError: it is no YAML."""
        try:
            loader, node = self._composed(text)
            return {} if node is None else self._value(loader, node, (), ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(part for part in (error.context, error.problem) if part)
            at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            if error.context == "while scanning an alias":
                said += "; put what begins with * (a cron, a selection) in quotes"
            raise self._unreadable(f"not valid YAML: {said}", at) from None
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            at = (before.count("\n") + 1, len(before) - before.rfind("\n"))
            raise self._unreadable(f"not valid YAML: {error.reason}", at) from None
        except _TooManyValuesError:
            raise self._unreadable(
                f"more than {self._most_values:,} values",
                remedy="Aliases (*name) that hold aliases multiply: write the settings out.",
            ) from None
        except RecursionError:
            raise self._unreadable("not valid YAML: nested too deeply") from None

    def report(self, where: Where, message: str, at: tuple[int, int] | None = None) -> None:
        """Adds a problem with the value `where`, at its own place unless `at` says another."""
        if at is None:
            self.reported.add(where)
        self.problems.append(self.problem(where, message, at))

    def problem(
        self, where: Where, message: str, at: tuple[int, int] | None = None
    ) -> ConfigProblem:
        """A problem with the value `where`, at its own place unless `at` says another."""
        line, column = at or self.marks[self.nearest(where)]
        return ConfigProblem(self._shown, line, column, _dotted(where), message)

    def nearest(self, where: Where) -> Where:
        """`where`, or the longest beginning of it that is written in the file."""
        while where not in self.marks:
            where = where[:-1]
        return where

    def _composed(self, text: str) -> tuple[Any, yaml.Node | None]:
        """The document's root, and what can make values of its nodes."""
        if self._most_values > _MOST_VALUES and yaml.__with_libyaml__:
            with suppress(yaml.YAMLError):  # said below, with the words and places of other files
                fast = yaml.CSafeLoader(text)
                return fast, fast.get_single_node()
        loader = yaml.SafeLoader(text)
        if self._attributes is None:
            return loader, loader.get_single_node()
        documents: list[yaml.Node] = []
        while loader.check_node():
            documents.append(loader.get_node())  # type: ignore[arg-type]  # there is one
        try:
            found = attributes_of(documents, self._attributes)
        except NoTransformError as error:
            raise self._unreadable(error.cause, remedy=error.remedy) from None
        node, self.component, self.translates = found.node, found.type, found.translates
        if self.component is None and len(documents) > 1:
            yaml.SafeLoader(text).get_single_node()  # says what is wrong, and where
        if self.component is not None and node is not None:
            self.marks[()] = _place(node)
        return loader, node

    def text(self) -> str:
        """What is written in the file. Raises ConfigError: it can't be read."""
        content = b""
        try:
            content = self._file.read_bytes()
            return content.decode("utf-8")
        except FileNotFoundError:
            raise self._unreadable(
                "there is no such file",
                remedy="Create it, or say where it is.",
            ) from None
        except UnicodeDecodeError as error:
            before = content[: error.start]
            at = (before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
            raise self._unreadable("not UTF-8", at) from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise self._unreadable(f"can't be read: {why}") from error

    def _unreadable(
        self, message: str, at: tuple[int, int] = (1, 1), *, remedy: str | None = None
    ) -> ConfigError:
        return ConfigError([ConfigProblem(self._shown, *at, "", message)], remedy=remedy)

    def _value(self, loader: Any, node: yaml.Node, where: Where, above: tuple[int, ...]) -> Any:
        self._values += 1
        if self._values > self._most_values:
            raise _TooManyValuesError
        if id(node) in above:
            self.report(where, "an alias to what it is in")
            return None
        above = (*above, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(loader, node, where, above)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            for place, item in enumerate(node.value):
                self.marks[(*where, place)] = _place(item)
            return [
                self._value(loader, item, (*where, place), above)
                for place, item in enumerate(node.value)
            ]
        if isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str":
            self.written[where] = node.value
            return self._expand(node.value, where) if self._variables else node.value
        try:
            return loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, KeyError):
            self.report(where, f"can't be read as {node.tag.replace(_TAG, '!!')}")
            return None

    def _mapping(
        self,
        loader: Any,
        node: yaml.MappingNode,
        where: Where,
        above: tuple[int, ...],
    ) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = _place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.report(where, "a key must be a plain word", at)
                continue
            if key_node.tag == f"{_TAG}merge":
                self.report(where, "merge keys (<<) are not supported; write the settings out", at)
                continue
            key = (*where, key_node.value)
            if key_node.value in data:
                self.report(key, f"duplicate key, first in line {self.marks[key][0]}", at)
                continue
            self.marks[key] = at
            data[key_node.value] = self._value(loader, value_node, key, above)
        return data

    def _expand(self, text: str, where: Where) -> str:
        """`text` with the values of environment variables, and of a component also with what
        Dagster's templates stand for; what is wrong is reported."""
        if self.component is None:
            return self._variables_of(text, where)
        return "".join(
            self._filled_in(part, where) if place % 2 else self._variables_of(part, where)
            for place, part in enumerate(_TEMPLATE.split(text))
        )

    def _filled_in(self, template: str, where: Where) -> str:
        try:
            return filled_in(template, self._file)
        except TemplateError as error:
            self.report(where, str(error))
            return ""

    def _variables_of(self, text: str, where: Where) -> str:
        def value_of(found: re.Match[str]) -> str:
            if found["escape"]:
                return "${"
            if not found["name"]:
                self.report(where, "malformed variable; ${NAME} or ${NAME:-default} is expected")
                return ""
            value = os.environ.get(found["name"])
            if found["default"] is not None:
                return value or found["default"]
            if value is None:
                self.report(where, f"the environment variable {found['name']} is not set")
                return ""
            return value

        return _VARIABLE.sub(value_of, text)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(where: Where) -> str:
    return "".join(map(_step, where)).removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if part and part.isprintable() else f".{part!r}"
