"""Which chunks are worth learning from: pure functions on two opinions of what was said."""
