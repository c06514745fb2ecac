"""Whisper models: OpenAI's, and what is trained here."""
