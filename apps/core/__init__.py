"""What every app builds on: base model, encryption, errors, pages, health. No domain nouns."""
