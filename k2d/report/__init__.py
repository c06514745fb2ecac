"""Report what an experiment has shown: tables, plots and chunks to listen to. Reads stored files only."""
