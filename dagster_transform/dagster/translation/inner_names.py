"""Names that Dagster takes, for whatever frameworks and people call things.

An asset key and the name of a check may be anything; the names of ops, inputs, outputs, groups and
tags may not. Two things that are called differently keep different names.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from hashlib import sha256

import dagster as dg

from dagster_transform.dagster._compat import is_inner_name

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]")
_SUBSET_INPUT = "__subset_input__"
_DIGEST = 8


def distinct(spelled: Mapping[str, str], *, longest: int | None = None) -> dict[str, str]:
    """A name of its own for each thing.

    A name goes to the thing that is called exactly so, else to the only one that is spelled so;
    each of several others gets it with a digest of what it is called. So names stay what they are
    when something else comes, unless that is called so.

    Args:
        spelled: By what a thing is called, how that is spelled in an alphabet that has fewer
            characters.
        longest: How many characters a name may have.
    """
    wanted = Counter(spelled.values())
    found = {
        called: name
        for called, name in spelled.items()
        if name == called or (wanted[name] == 1 and name not in spelled)
    }
    taken = set(found.values())
    for called, name in sorted(spelled.items()):
        if called in found:
            continue
        digest = sha256(called.encode("utf-8", "surrogatepass")).hexdigest()
        length = _DIGEST
        while True:
            room = None if longest is None else max(0, longest - length - 1)
            free = f"{name[:room]}_{digest[:length]}"
            if free not in taken:
                break
            length += 1
        found[called] = free
        taken.add(free)
    return found


def op_name(name: str) -> str:
    """The name of an op for what is called so: a project may be called as a word of Python."""
    return _inner(name)


def output_names(
    assets: Collection[dg.AssetKey], checks: Collection[dg.AssetCheckKey]
) -> tuple[dict[dg.AssetKey, str], dict[dg.AssetCheckKey, str]]:
    """Names of the outputs of an op; Dagster's own wherever it takes them.

    Args:
        assets: What the op materialises.
        checks: What it checks.
    """
    spelled = {_called(key): _inner(key.to_python_identifier()) for key in assets}
    for check in checks:
        name = f"{check.asset_key.to_python_identifier()}_{check.name}".replace(".", "_")
        spelled[_check_called(check)] = _inner(name)
    names = distinct(spelled)
    return (
        {key: names[_called(key)] for key in assets},
        {check: names[_check_called(check)] for check in checks},
    )


def input_names(
    upstream: Collection[dg.AssetKey], internal: Mapping[dg.AssetKey, str]
) -> dict[dg.AssetKey, str]:
    """Names of the inputs of an op; Dagster's own wherever it takes them.

    Args:
        upstream: What the op reads and something else makes.
        internal: What it reads of its own, with the names of the outputs: Dagster may split it.
    """
    spelled = {
        _called(key): _inner("_".join(key.path).replace("-", "_").replace(".", "_"), an_input=True)
        for key in upstream
    }
    spelled |= {_called(key): f"{_SUBSET_INPUT}{output}" for key, output in internal.items()}
    names = distinct(spelled)
    return {key: names[_called(key)] for key in (*upstream, *internal)}


def _inner(name: str, *, an_input: bool = False) -> str:
    """A name of Dagster's alphabet that is none of its reserved words."""
    spelled = _NOT_A_NAME.sub("_", name) or "_"
    return spelled if is_inner_name(spelled, an_input=an_input) else f"{spelled}_"


def _called(key: dg.AssetKey) -> str:
    """What a key is called: of one part, that part."""
    plain = len(key.path) == 1 and key.path[0][:1] != "["
    return key.path[0] if plain else json.dumps(key.path)


def _check_called(check: dg.AssetCheckKey) -> str:
    return json.dumps([check.asset_key.path, check.name])
