"""Estimate the cost of an experiment before any work: parameters, memory, disk and hours. Reads sizes only."""
