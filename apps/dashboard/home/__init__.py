"""The home page: what goes on now, what happened today, and what needs a look."""
