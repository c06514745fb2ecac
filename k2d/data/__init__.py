"""Data on disk: Kaldi data directories, audio files, corpora. Knows nothing of models."""
