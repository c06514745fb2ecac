"""What is said: made comparable, in mixed tokens, in phonemes. Knows nothing of audio, files or models."""
