"""Twilio's words: media-stream messages, TwiML documents, signatures. Pure: no I/O."""
