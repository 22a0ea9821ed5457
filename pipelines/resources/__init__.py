"""Dagster's handles on the outside systems."""
