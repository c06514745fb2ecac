"""Kaldi data directories: read, write, validate, repair, subset and combine them in bounded memory."""
