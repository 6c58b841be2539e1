"""The pages about bots: the list, the editor, versions, and what to paste into Twilio."""
