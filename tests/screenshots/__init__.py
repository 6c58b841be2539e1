"""Screenshots of the dashboard, made by one command: ``python -m tests.screenshots``.

A server of its own, with an account that has something to show: bots, a day of calls, one of them
held and recorded for real through the local providers, numbers at Twilio's stand-in, webhooks.
"""
