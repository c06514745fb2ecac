"""Decoding: long recordings window by window, and short clips, in batches, written once for every family."""
