"""The conversation: turn-taking, playout, audio arithmetic. No Django, sockets or vendors."""
