"""Alerts, purely: what of a run is told, to whom, and in which words. Sending is elsewhere."""
