"""The pages about bots."""
