"""The media gateway: Twilio's socket on one side, a conversation on the other."""
