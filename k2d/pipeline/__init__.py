"""Shared by all stages: jobs, units, the comparison of stamps, the runner, the list of stages."""
