"""Choose the chunks that students learn from: pure functions on two opinions about what was spoken."""
