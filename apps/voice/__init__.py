"""The conversation: turn-taking, playout and audio arithmetic. Pure: no Django, no sockets, no vendors."""
