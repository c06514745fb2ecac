"""What a recipe under egs/ reads a raw corpus with: files, tables, archives, parquet, captions, downloads."""
