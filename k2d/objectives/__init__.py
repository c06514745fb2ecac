"""The losses of a student: pure functions on logits, by name, and their weighted sum."""

CHUNK_ELEMENTS = 1 << 25
"""The number of logits in memory at once, per decoder: 128 MiB in fp32."""
