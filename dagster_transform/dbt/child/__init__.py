"""What runs in a process of dbt's own, and the only place that imports dbt.

It imports nothing of the run's side but the protocol, which both sides speak.
"""

from __future__ import annotations
