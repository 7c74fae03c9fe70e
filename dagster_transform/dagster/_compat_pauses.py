"""Private parts of Dagster that the jobs of pauses touch; see `_compat`."""

from __future__ import annotations

import warnings

import dagster as dg
from dagster._core.storage.tags import USER_TAG

__all__ = ["USER_TAG", "selected_assets"]


def selected_assets(repository: dg.RepositoryDefinition, selection: str) -> set[dg.AssetKey]:
    """The assets of a code location that a text selects, in Dagster's selection syntax.

    Raises:
        DagsterError: The text is no selection, or names what there is not.
    """
    with warnings.catch_warnings():
        # Its parser calls what is in beta; where warnings are errors, it would say of a right text
        # that it is none.
        warnings.simplefilter("ignore", dg.BetaWarning)
        found = dg.AssetSelection.from_string(selection)
    return set(found.resolve(repository.asset_graph))
