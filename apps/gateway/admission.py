"""May this stream in? Runs in threads of its own, beside the loop; touches no provider."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings

from apps.accounts.signing import secrets_of
from apps.bots.selectors import Admission, call_expected, spoken_lines_load
from apps.bots.speech import line_digest, line_texts, speaking_kind
from apps.calls.admission import (
    Arrival,
    Entrance,
    StreamRefused,
    stream_look,
    token_use,
)
from apps.calls.lookups import connection_stored
from apps.calls.ringing import Ringing
from apps.core.threads import DatabaseThreads
from apps.gateway.stock import stock_clips
from apps.telephony.signatures import Signed, stream_is_signed
from apps.telephony.streams import Started
from apps.voice.clips import Clip
from apps.voice.settings import LineName

THREADS = 4
# Spoken lines kept in memory: a sentence is about 25 kB, so this is some 12 MB.
LINES = 512


@dataclass(frozen=True, slots=True)
class Admitted:
    """An accepted stream: whose it is, and the sentences that are ready.

    can_transfer: something is stored that Twilio can be asked by to put it through; looked up for
    bots that have somebody to put it through to.
    """

    entrance: Entrance
    clips: Mapping[LineName, Clip] = field(repr=False)
    can_transfer: bool = False


class Gate:
    """Checks streams. Owns its threads; ``aclose`` ends them and their connections."""

    def __init__(self) -> None:
        self._threads = DatabaseThreads(THREADS, "admission")
        self._lines: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    async def admit(self, started: Started, *, signed: Signed) -> Admitted:
        """Return what the stream is for. Raises StreamRefused."""
        return await self._threads.run(lambda: self._look(started, signed))

    async def expect(self, ringing: Ringing) -> Admission | None:
        """Return what a call that rings will be; nothing of it is let in by that."""
        given = {**ringing.given, "call_sid": ringing.call_sid}
        return await self._threads.run(lambda: call_expected(ringing.config_id, given))

    async def aclose(self) -> None:
        await self._threads.aclose()

    def _look(self, started: Started, signed: Signed) -> Admitted:
        arrival = Arrival(started.call_sid, started.account_sid, started.parameters)
        entrance, token = stream_look(arrival)
        # A page's handshake is signed by nobody; its token is, and is good for this one call.
        if not entrance.browser:
            _signature_check(entrance.admission, started, signed)
        # Last, so that whoever may not sign cannot use up somebody else's token either.
        if token is not None:
            token_use(token)
        wanted = bool(entrance.admission.document.get("transfers"))
        can_transfer = (
            wanted and not entrance.browser and _can_transfer(entrance.admission, started)
        )
        return Admitted(entrance, self._clips(entrance.admission), can_transfer)

    def _clips(self, admission: Admission) -> dict[LineName, Clip]:
        texts = line_texts(admission.document)
        slot = admission.document[speaking_kind(admission.document)]
        digests = {name: line_digest(slot, text) for name, text in texts.items()}
        audio = self._spoken(admission, set(digests.values()))
        clips = dict(stock_clips())
        for name, digest in digests.items():
            if digest in audio:
                clips[name] = Clip(texts[name], audio[digest])
        return clips

    def _spoken(self, admission: Admission, digests: set[str]) -> dict[str, bytes]:
        # A digest covers voice and text, so a line that is known is right for ever; the account
        # is part of the key, because a cloned voice belongs to one.
        prefix = str(admission.account_id)
        with self._lock:
            known = {
                digest: self._lines[prefix + digest]
                for digest in digests
                if prefix + digest in self._lines
            }
        if missing := digests - known.keys():
            loaded = spoken_lines_load(admission.account_id, missing)
            self._remember(prefix, loaded)
            known |= loaded
        return known

    def _remember(self, prefix: str, loaded: Mapping[str, bytes]) -> None:
        with self._lock:
            for digest, audio in loaded.items():
                self._lines[prefix + digest] = audio
            while len(self._lines) > LINES:
                self._lines.popitem(last=False)


def _can_transfer(admission: Admission, started: Started) -> bool:
    account, sid = admission.account, started.account_sid
    return bool(sid) and connection_stored(account, account_sid=sid)


def _signature_check(admission: Admission, started: Started, signed: Signed) -> None:
    """The handshake's signature counts where something is stored that it can be checked by."""
    secrets = secrets_of(admission.account, account_sid=started.account_sid)
    if secrets and not stream_is_signed(secrets=secrets, url=settings.STREAM_URL, signed=signed):
        raise StreamRefused("signature_wrong" if signed.signature else "signature_missing")
