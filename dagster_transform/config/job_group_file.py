"""The job group file as it is written: which keys it may have, and where each value stands.

Whether what it says fits a graph is not known here: `planning.job_groups.file` says that.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from dagster_transform.config.checks import Timing
from dagster_transform.config.document import ConfigDocument, ConfigError, ConfigProblem
from dagster_transform.config.explaining import explain
from dagster_transform.config.fields import (
    Count,
    Labels,
    Model,
    OptionalText,
    Text,
    Texts,
    TimeZone,
)
from dagster_transform.errors import TransformError

ROOT = "job_groups"
"""The key that has them all."""
GENERATED = "# generated: "
"""Begins the line of the file that says whether it was edited since."""
_MOST_VALUES = 2_000_000
_A_NAME = "a job group's name has letters, digits and underscores, and does not begin with a digit"
_MARK = re.compile(rf"^{GENERATED}(?P<digest>[0-9a-f]+)[ \t]*$", re.MULTILINE)
_DIGITS = 16
_CLEAR = "Mend the file, or write it anew: `dagster-transform job-groups generate --fresh`."


class JobGroupFileError(TransformError):
    """The job group file can't be written."""


class JobGroupEntry(Model):
    """What the file says of one job group.

    Attributes:
        description: For people.
        cron: When it ticks: five fields, or an alias such as `@daily`.
        time_zone: IANA name of the zone in which `cron` is meant; None is UTC.
        nodes: Its nodes, by their asset keys or by what else a selection takes as one term.
        select: Further nodes of it, as a selection.
        tags: Of its runs in Dagster.
        owners: Who is told of its failures.
        max_concurrent_models: How many nodes one of its runs builds at a time; None: as everywhere.
        checks: When its checks run; None: as transform.yaml says.
    """

    description: str = ""
    cron: Text
    time_zone: TimeZone = None
    max_concurrent_models: Count | None = None
    checks: Timing | None = None
    owners: Texts = ()
    tags: Labels = Field(default_factory=dict)
    select: OptionalText = None
    nodes: Texts = ()


_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _File(Model):
    job_groups: dict[_Name, JobGroupEntry]


@dataclass(frozen=True, slots=True)
class JobGroupFile:
    """A job group file.

    Attributes:
        entries: Its job groups by name, in the order of the file.
        document: Where each value of it stands.
        text: As it is written.
        edited: Whether somebody has changed it since `generate` wrote it.
    """

    entries: Mapping[str, JobGroupEntry]
    document: ConfigDocument
    text: str = field(default="", repr=False)
    edited: bool = False

    def problem(self, group: str, message: str, *keys: str | int) -> ConfigProblem:
        """A problem with a job group, or with a value of it.

        Args:
            group: Its name.
            message: What is wrong.
            keys: The value, from the group inwards: `"nodes", 3`.
        """
        return self.document.problem((ROOT, group, *keys), message)

    def line(self, group: str, *keys: str | int) -> int:
        """The line of a value, or of what is written around it."""
        return self.document.marks[self.document.nearest((ROOT, group, *keys))][0]


def read_job_group_file(path: Path) -> JobGroupFile:
    """The job group file at a path.

    Raises:
        ConfigError: It is missing, or something in it is wrong.
    """
    document = _document(path)
    return _parsed(document, document.text())


def parse_job_group_file(text: str, path: Path) -> JobGroupFile:
    """The job group file of a text.

    Args:
        text: The text.
        path: What it is called in messages.

    Raises:
        ConfigError: Something in it is wrong.
    """
    return _parsed(_document(path), text)


def write_job_group_file(path: Path, text: str) -> None:
    """Writes the file whole: readers see the old text or the new one, also after a crash.

    Raises:
        JobGroupFileError: It can't be written; what was there is unchanged.
    """
    target = path.resolve()  # a link stays one
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with suppress(OSError):
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise JobGroupFileError(
            f"The job group file {path} can't be written: {error.strerror or error}",
            remedy="Make its folder writable, and see that the disk has space.",
        ) from error


def sealed(text: str, at: int) -> str:
    """A text with a line in it by which it is seen whether somebody has changed the text since.

    Args:
        text: The text, without such a line.
        at: Before which of its lines that one comes.
    """
    lines = text.split("\n")
    return "\n".join((*lines[:at], f"{GENERATED}{_digest(text)}", *lines[at:]))


def is_edited(text: str) -> bool:
    """Whether a text is another than `sealed` has made; also where nothing says so."""
    text = text.replace("\r\n", "\n")
    found = _MARK.search(text)
    if found is None:
        return True
    rest = text[: found.start()] + text[found.end() + 1 :]
    return found["digest"] != _digest(rest)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS]


def _document(path: Path) -> ConfigDocument:
    # No variables: which nodes are together is the same for all who read the file.
    return ConfigDocument(path, variables=False, most_values=_MOST_VALUES)


def _parsed(document: ConfigDocument, text: str) -> JobGroupFile:
    data = document.parse(text)
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _report(document, details)
        file = None
    if file is None or document.problems:
        raise ConfigError(document.problems, remedy=_CLEAR) from None
    return JobGroupFile(file.job_groups, document, text, is_edited(text))


def _report(document: ConfigDocument, details: ErrorDetails) -> None:
    """Reports what pydantic found, unless that value is known to be wrong already."""
    kind = details["type"]
    where = tuple(step for step in details["loc"] if step != "[key]")
    if kind != "missing":
        where = document.nearest(where)
    if where in document.reported:
        return
    model: type[Model] = JobGroupEntry if len(where) > 2 else _File
    name = kind == "string_pattern_mismatch" and len(where) == 2
    document.report(where, _A_NAME if name else explain(details, kind, where, model))
