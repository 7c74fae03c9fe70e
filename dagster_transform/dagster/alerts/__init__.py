"""Alerts are sent: the shell around what `runs.alerts` decides. Only runs import it."""
