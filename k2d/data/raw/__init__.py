"""Readers for raw corpora, used by the recipes under egs/: files, tables, archives, parquet, captions, downloads."""
