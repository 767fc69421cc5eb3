"""Snapshots in, results out: what the command line, jobs and notebooks call."""
