"""What `prepare` keeps of a dbt project: dbt's own artifacts, and what else it found out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagster_transform.dbt.errors import ManifestError
from dagster_transform.graph import SourceFile, difference, fingerprint
from dagster_transform.process.private_files import (
    make_private,
    make_private_folder,
    write_private,
)

_KEPT = ("manifest.json", "partial_parse.msgpack")
_RECORD = "parsed.json"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ParseRecord:
    """What dbt said of a project when it parsed it.

    Attributes:
        dbt: Version of dbt-core.
        adapter: Version of the adapter's package.
        connection: Where the target leads to, as the adapter's credentials call it (`type`, `host`,
            `path`...); no user, no password.
        threads: The profile's threads.
        packages: Folder of each package, the project's own included, by name.
        selected: Unique ids of what transform.yaml selects, tests included; None: everything.
        files: The files that were parsed, by path relative to the root that they were read with.
    """

    dbt: str
    adapter: str
    connection: Mapping[str, Any]
    threads: int
    packages: Mapping[str, str]
    selected: Sequence[str] | None = None
    files: Mapping[str, SourceFile] = field(default_factory=dict)

    @property
    def adapter_type(self) -> str:
        """The adapter's type, such as `duckdb`."""
        return str(self.connection["type"])


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The folder where `prepare` keeps a project's artifacts.

    Attributes:
        project: The project's name in transform.yaml.
        folder: The folder; it need not exist.
    """

    project: str
    folder: Path

    @property
    def manifest(self) -> Path:
        """manifest.json, as dbt wrote it."""
        return self.folder / "manifest.json"

    @property
    def partial_parse(self) -> Path:
        """partial_parse.msgpack, from which dbt loads a project in less time."""
        return self.folder / "partial_parse.msgpack"

    @contextmanager
    def replaced(self) -> Iterator[Path]:
        """A new folder for dbt to write to; what it has at the end takes the old one's place, file
        by file, each at once. Where the body raises, the old files stay."""
        make_private_folder(self.folder)
        with TemporaryDirectory(prefix=".parse-", dir=self.folder) as name:
            made = Path(name)
            yield made
            for kept in _KEPT:
                if (made / kept).exists():
                    make_private(made / kept)
                    os.replace(made / kept, self.folder / kept)

    def write_record(self, record: ParseRecord) -> None:
        """Keep the record of a parse, whole or not at all."""
        content = {
            "dbt": record.dbt,
            "adapter": record.adapter,
            "connection": record.connection,
            "threads": record.threads,
            "packages": record.packages,
            "selected": record.selected,
            "files": {path: [f.size, f.mtime_ns, f.sha256] for path, f in record.files.items()},
        }
        write_private(self.folder / _RECORD, json.dumps(content, sort_keys=True))

    def read_record(self) -> ParseRecord:
        """The record of the last parse. Raises ManifestError where there are none."""
        try:
            content = json.loads((self.folder / _RECORD).read_bytes())
            files = {path: SourceFile(*entry) for path, entry in content.pop("files").items()}
            return ParseRecord(**content, files=files)
        except FileNotFoundError:
            raise self.unusable("was never parsed by this version", self.folder / _RECORD) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self.unusable(f"is damaged: {error}", self.folder / _RECORD) from error

    def require_current(self, root: Path, folder: Path) -> None:
        """Raises ManifestError where the project's files are not those that were parsed.

        Args:
            root: The folder of transform.yaml.
            folder: The project's folder.
        """
        files = self.read_record().files
        changes = difference(files, fingerprint(root, [folder], files))
        if changes:
            listing = ", ".join(changes[:_SHOWN]) + ", ..." * (len(changes) > _SHOWN)
            raise self.unusable(f"is older than the project's files: {listing}")

    def unusable(self, reason: str, path: Path | None = None) -> ManifestError:
        """The error that a file, manifest.json unless another is given, can't be used."""
        return ManifestError(
            f"Project {self.project}: {path or self.manifest} {reason}.",
            remedy=f"Run `dagster-transform prepare --project {self.project}` to write it anew.",
        )
