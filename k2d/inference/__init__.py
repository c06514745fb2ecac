"""Decoding of many recordings in worker processes, for stages 5, 7 and 11."""
