"""The claims of one op of a run.

Three sorts, each a claim of its own in the store. **Shared resources**, environments and DuckDB
files, are taken before the projects are looked at, and held to the end. The **tables** of all nodes
are taken in one call before the first node starts, and each is released when its node and its
checks are done; what a plan does to tables apart from its nodes is claimed with them, until it has
promoted. **Slots** are taken when a node starts and given back when it ends (`gate`).
"""

from __future__ import annotations
