"""Twilio's side of a call: a TwiML interpreter and a media stream with a true playout clock.

A client: it knows ``voice`` and ``telephony``, and nothing of the server imports it.
"""
