"""Recognisers: one interface (recogniser.py), one adapter per family."""
