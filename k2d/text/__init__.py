"""What is said: tokens of mixed text. Knows nothing of audio, files or models."""
