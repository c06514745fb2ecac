"""What an experiment will cost, from sizes alone: parameters, memory, disk and hours, before any work."""
