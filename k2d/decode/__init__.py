"""Decoding in batches, the same code for every family: long recordings window by window, and clips."""
