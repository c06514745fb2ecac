"""What a student is trained to do: losses as pure functions on logits, by name, and their weighted sum."""

CHUNK_ELEMENTS = 1 << 25
"""Logits that are alive at once, per decoder: 128 MiB in fp32."""
