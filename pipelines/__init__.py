"""Dagster's side: the lake maintained and verified through Trino, inside the hot path's budget."""
