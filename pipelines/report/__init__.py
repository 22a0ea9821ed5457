"""Figures of a run as tables and plots in Dagster's pages."""
