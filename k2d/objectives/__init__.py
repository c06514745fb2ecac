"""What a student is trained to do: losses as pure functions on logits, by name, and their weighted sum."""
