"""The stand-in's own API, at ``/_simulator``: what people do, what goes wrong, what was heard.

JSON in and out, for curl. Bodies must say that they are JSON: no page in a browser can post them
from elsewhere without asking first.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from apps.simulator.audio import stereo_encode
from apps.simulator.caller import Speech
from apps.simulator.script import Say, Step, conversation
from apps.simulator.twilio.bins import Bins
from apps.simulator.twilio.callbacks import Spoil, StatusCallbacks
from apps.simulator.twilio.checks import is_e164
from apps.simulator.twilio.drills import Drill, Drills
from apps.simulator.twilio.live import LiveCall, tracks
from apps.simulator.twilio.network import PhoneNetwork
from apps.simulator.twilio.people import REFUSALS, Person
from apps.simulator.twilio.state import Account, Call, World

PATH = "/_simulator"
Speak = Callable[[str], Awaitable[bytes]]
_TEMPERS = ("answers", "machine", "fax", "silent", *REFUSALS)
_GREETING_S = 2.0


class NotPossible(Exception):
    """status: of HTTP. The text says what would be possible."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Control:
    """Does what the paths say. speak: a text as mu-law, 8,000 Hz; None, people are mute."""

    def __init__(
        self,
        network: PhoneNetwork,
        account: Account,
        drills: Drills,
        callbacks: StatusCallbacks,
        speak: Speak | None = None,
    ) -> None:
        self.network = network
        self.account = account
        self.drills = drills
        self.callbacks = callbacks
        self.bins = Bins()
        self._speak = speak

    @property
    def speaks(self) -> bool:
        return self._speak is not None

    @property
    def world(self) -> World:
        return self.network.world

    async def perform(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Return a status and JSON, or the bytes of a WAV. Raises NotPossible."""
        parts = path.removeprefix(PATH).strip("/").split("/")
        found = _OPERATIONS.get((method, parts[0], len(parts)))
        if found is None:
            raise NotPossible(404, f"There is no {method} {path}. See docs/simulator.md.")
        try:
            return await found(self, *parts[1:], body)
        except (TypeError, ValueError, AttributeError) as error:
            raise NotPossible(422, f"{method} {path}: {error}") from error

    # --- calls ----------------------------------------------------------------------------------

    async def call_list(self, _body: Mapping[str, Any]) -> tuple[int, Any]:
        return 200, {"calls": [self._shown(one) for one in self.world.calls.values()]}

    async def call_begin(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Have somebody call one of our numbers."""
        to, from_ = body.get("to", ""), body.get("from", "")
        if not is_e164(from_) and from_ != "anonymous":
            raise NotPossible(422, "from: a number in E.164, such as +14155550101, or anonymous")
        person = await self._person(Person(), {**body, "to": None, "from": None})
        try:
            call = self.network.dial_in(to, from_, person)
        except LookupError as error:
            ours = ", ".join(one.phone_number for one in self.world.numbers.values())
            raise NotPossible(422, f"to: {error}; ours are {ours}") from error
        return 201, self._shown(call)

    async def call_get(self, sid: str, _body: Mapping[str, Any]) -> tuple[int, Any]:
        return 200, self._shown(self._live(sid).call)

    async def call_act(self, sid: str, verb: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """``hangup``; ``press`` with ``digits``; ``say`` with ``text``."""
        live = self._live(sid)
        if verb == "hangup":
            live.party_hangs_up()
        elif verb == "press":
            self.network.press(live.call, _digits(body.get("digits")))
        elif verb == "say":
            live.script.order(Say(await self._speech(str(body.get("text", "")))))
        else:
            raise NotPossible(404, f"{verb}: a call takes hangup, press and say")
        return 200, self._shown(live.call)

    async def call_recording(self, sid: str, _name: str, _body: Any) -> tuple[int, Any]:
        """Return the call's streams as a WAV: left who called, or was called; right the bot."""
        caller, bot = tracks(self._live(sid))
        if not caller and not bot:
            raise NotPossible(404, "Nothing was streamed in that call, or it is still going on.")
        return 200, stereo_encode(caller=caller, bot=bot)

    # --- people, numbers, documents -------------------------------------------------------------

    async def overview(self, _body: Mapping[str, Any]) -> tuple[int, Any]:
        world = self.world
        return 200, {
            "account_sid": self.account.sid,
            "numbers": [
                {"phone_number": one.phone_number, "sid": one.sid, **one.settings}
                for one in world.numbers.values()
            ],
            "people": {number: one.temper for number, one in self.network.people.items()},
            "findings": [asdict(one) for one in world.findings],
            "alerts": [{"code": code, "what": what} for code, what in world.alerts],
        }

    async def person_put(self, number: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Say who is at a number, and what they do when it rings."""
        person = await self._person(self.network.person_at(number), body)
        self.network.people[number] = person
        return 200, {"number": number, "temper": person.temper}

    async def number_add(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        number = str(body.get("phone_number", ""))
        if not is_e164(number) or self.world.number_of(number) is not None:
            raise NotPossible(422, "phone_number: in E.164, and nobody's yet")
        made = self.world.number_add(self.account, number)
        return 201, {"phone_number": number, "sid": made.sid}

    async def bin_add(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        return 201, {"url": self.bins.add(str(body.get("twiml", "")))}

    async def habits_put(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Change what the network does of itself; see ``tempo.Habits`` for the members."""
        self.network.habits = replace(self.network.habits, **body)
        return 200, asdict(self.network.habits)

    # --- drills ---------------------------------------------------------------------------------

    async def drill_add(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Spoil requests to come; see ``drills.Drill`` for the members."""
        drill = Drill(**{"operation": "calls.create", **body})
        self.drills.add(drill)
        return 201, asdict(drill)

    async def drills_clear(self, _body: Mapping[str, Any]) -> tuple[int, Any]:
        self.drills.clear()
        return 200, {}

    async def spoil_add(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Spoil callbacks to come; see ``callbacks.Spoil`` for the members."""
        spoil = Spoil(**body)
        self.callbacks.spoil(spoil)
        return 201, asdict(spoil)

    # --- its own --------------------------------------------------------------------------------

    def _live(self, sid: str) -> LiveCall:
        """Find a call; ``last`` is the newest."""
        if sid == "last" and self.network.live:
            return next(reversed(self.network.live.values()))
        if sid not in self.network.live:
            raise NotPossible(404, f"There is no call {sid}.")
        return self.network.live[sid]

    def _shown(self, call: Call) -> dict[str, Any]:
        live = self.network.live.get(call.sid)
        return {
            "sid": call.sid,
            "direction": call.direction,
            "from": call.from_,
            "to": call.to,
            "status": call.status,
            "history": call.history,
            "parent_call_sid": call.parent_sid or None,
            "heard": [asdict(one) for one in live.heard] if live else [],
        }

    async def _person(self, person: Person, body: Mapping[str, Any]) -> Person:
        """Change a person. Members: temper, after_s, say, hang_up_after_s, greeting_s, beep."""
        given = {name: value for name, value in body.items() if value is not None}
        say = given.pop("say", None)
        if given.get("temper", "answers") not in _TEMPERS:
            raise NotPossible(422, f"temper: one of {', '.join(_TEMPERS)}")
        if say is not None:
            texts = [say] if isinstance(say, str) else list(say)
            given["script"] = await self.script(texts)
        return replace(person, **given)

    async def script(self, texts: Sequence[str]) -> tuple[Step, ...]:
        """Write the script of somebody who says these things in turn, and then hangs up."""
        speeches = [await self._speech(text) for text in texts]
        return conversation(speeches, greeting_s=_GREETING_S)

    async def _speech(self, text: str) -> Speech:
        if self._speak is None:
            raise NotPossible(422, "say: there is no voice; install the local one (extra `local`)")
        return Speech.of(await self._speak(text), label=text)


def _digits(digits: Any) -> str:
    if not isinstance(digits, str) or not digits or digits.strip("0123456789*#ABCD"):
        raise NotPossible(422, "digits: a string of 0-9, *, # and A-D")
    return digits


Operation = Callable[..., Awaitable[tuple[int, Any]]]
# By method, first part of the path, and number of parts.
_OPERATIONS: Mapping[tuple[str, str, int], Operation] = {
    ("GET", "", 1): Control.overview,
    ("GET", "calls", 1): Control.call_list,
    ("POST", "calls", 1): Control.call_begin,
    ("GET", "calls", 2): Control.call_get,
    ("GET", "calls", 3): Control.call_recording,
    ("POST", "calls", 3): Control.call_act,
    ("PUT", "people", 2): Control.person_put,
    ("PUT", "habits", 1): Control.habits_put,
    ("POST", "numbers", 1): Control.number_add,
    ("POST", "bins", 1): Control.bin_add,
    ("POST", "drills", 1): Control.drill_add,
    ("DELETE", "drills", 1): Control.drills_clear,
    ("POST", "callbacks", 1): Control.spoil_add,
}


def body_read(content_type: str, body: bytes) -> Mapping[str, Any]:
    """Read a request's body: a JSON object, or nothing."""
    if not body:
        return {}
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise NotPossible(415, "The body must be JSON: -H 'Content-Type: application/json'")
    try:
        read = json.loads(body)
    except ValueError as error:
        raise NotPossible(400, f"The body is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise NotPossible(400, "The body must be a JSON object.")
    return read
