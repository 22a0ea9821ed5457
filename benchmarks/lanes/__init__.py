"""Two lanes on two cores against one."""
