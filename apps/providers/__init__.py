"""Speech-to-text, language models and text-to-speech: one module per vendor behind voice.ports."""
