"""Data on disk: Kaldi data directories, audio files, corpora. Independent of models."""
