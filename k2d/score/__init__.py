"""How many errors, of which kind, how surely, and under which conventions: scores that can be compared."""
