"""What every room stands on: whole files, stamps, locks, workers, errors for people. Knows nothing of speech."""
