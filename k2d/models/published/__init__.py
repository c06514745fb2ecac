"""Published checkpoints: where they come from, the cache that keeps them, and the verb `fetch`."""
