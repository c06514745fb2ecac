"""The foundation of all rooms: complete files, stamps, locks, workers, errors for people. Knows nothing of speech."""
