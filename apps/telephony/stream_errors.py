"""What goes wrong with a media stream, by Twilio's number. Source: Twilio's error dictionary."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<!\d)319\d\d(?!\d)")


@dataclass(frozen=True, slots=True)
class StreamFault:
    """One kind of fault. code: Twilio's, 0 where it named none that is known."""

    code: int
    name: str
    meaning: str


_KNOWN: Mapping[int, tuple[str, str]] = {
    31900: ("unknown", "The stream failed; Twilio does not say why."),
    31901: ("connection_timeout", "Twilio reached nobody: a firewall, or no server at PUBLIC_URL."),
    31902: ("connection_refused", "Nobody listens there: the port is wrong or the server is down."),
    31903: ("broken_pipe", "Our side of the socket broke: the gateway died or lost its network."),
    31904: ("host_unreachable", "PUBLIC_URL's host has no public address."),
    31910: ("ssl_error", "TLS failed: a certificate that nobody vouches for, or none at all."),
    31920: (
        "handshake_error",
        "The server did not take the WebSocket: see its log for the reason.",
    ),
    31921: ("close_error", "Our side closed the stream. Twilio reports it when it was meant, too."),
    31922: ("schema_not_supported", "The stream's URL is not wss: PUBLIC_URL must be https."),
    31923: ("malformed_url", "The stream's URL is none."),
    31924: ("protocol_error", "A proxy or our server broke the WebSocket protocol."),
    31930: ("buffer_overflow", "We read too slowly, and Twilio dropped what the caller said."),
    31931: (
        "media_discarded",
        "More than ten minutes of speech were queued; the rest was dropped.",
    ),
    31941: ("invalid_track", "The TwiML asks for a track that a two-way stream does not have."),
    31950: ("malformed_message", "We sent a binary frame."),
    31951: ("invalid_message", "We sent a message that Twilio does not know."),
    31953: ("rtp_timeout", "The caller's side went silent: their network, or the call is over."),
}


def stream_fault(text: str) -> StreamFault:
    """Read the ``StreamError`` of a stream's status callback: free text with a number in it."""
    found = next((int(part) for part in _NUMBER.findall(text) if int(part) in _KNOWN), 0)
    name, meaning = _KNOWN.get(found, _KNOWN[31900])
    return StreamFault(found, name, meaning)
