"""What happened, told by an app to whoever listens, without knowing who that is.

Senders call ``happened.send`` inside the transaction that makes the fact: what a listener writes
then stands or falls with it, and a listener that fails undoes the fact.
"""

from __future__ import annotations

from django.dispatch import Signal

# Sent with account_id (UUID), kind ("config.published"), data (JSON; times, UUIDs and decimals
# too), and key: a text that is the same whenever the same fact is told again, or None.
happened = Signal()
