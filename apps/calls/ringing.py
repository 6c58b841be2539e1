"""Tells whoever wants to know that a call is about to arrive, while the phone still rings.

The gateway of the same process connects to the bot's vendors meanwhile. In a process without a
gateway nobody listens, and the call connects when its stream starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call whose TwiML was asked for. given: what it brings for the bot's variables."""

    config_id: str
    call_sid: str
    given: Mapping[str, str] = field(repr=False)


Listener = Callable[[Ringing], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Have ``listener`` called from the thread of each request. Returns what ends that."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def announce(ringing: Ringing) -> None:
    """Tell the listeners. Never raises: Twilio's answer does not depend on them."""
    for listener in tuple(_listeners):
        try:
            listener(ringing)
        except Exception:  # a listener's fault
            logger.exception("A ringing call could not be announced")
