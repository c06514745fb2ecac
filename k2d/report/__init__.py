"""What an experiment has shown: tables, plots and the chunks to listen to, from stored files alone."""
