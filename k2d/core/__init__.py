"""The foundation of all rooms: complete files, stamps, locks, workers, error messages. Independent of speech."""
