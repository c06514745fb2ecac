"""Decode long recordings window by window, and clips, in batches. The same code is used for every family."""
