"""Recognisers: one interface (interface.py), and a folder for each family (registry.py lists them)."""
