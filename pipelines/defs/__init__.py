"""What exists: assets, checks, sensors, schedules and jobs, by area."""
