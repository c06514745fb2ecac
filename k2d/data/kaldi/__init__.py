"""Kaldi data directories: read, written, checked, mended, parted and joined, in bounded memory."""
