"""Recognisers: one interface (interface.py), and a folder for each family (listed in registry.py)."""
