"""K2D: audio without transcripts in, a smaller and better code-switching recogniser out."""

__version__ = "0.1.0"
