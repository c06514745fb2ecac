"""The cost of an experiment before any work, from sizes alone: parameters, memory, disk and hours."""
