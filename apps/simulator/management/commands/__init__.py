"""The simulator's commands, one module each."""
