"""Reads TwiML as Twilio does: the verbs that an answer to a call may hold, as frozen values.

Sources: Twilio's "TwiML for Programmable Voice" and its error dictionary: 11750 (too long), 12100
(not XML), 12200 (not TwiML), 31922 and 31923 (a stream's URL), 31941 (its track).
Not read, and refused: <Gather>, <Enqueue>, <Start>, <Conference> and what else no bot's call needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.etree import ElementTree

DOCUMENT_BYTES = 64 * 1024
PARAMETER_CHARACTERS = 500
DIAL_CALLEES = 10
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class TwimlRefused(ValueError):
    """Twilio would not run this document. code: its error; the text says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Stream:
    """Where to stream to. url: without the query, which Twilio strips."""

    url: str
    name: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Connect:
    """Stream until the socket closes; then ask ``action``, or go on with the next verb."""

    stream: Stream
    action: str = ""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Say:
    """Speak with Twilio's voice."""

    text: str
    voice: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Be silent."""

    seconds: int = 1


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not answer. reason: rejected or busy."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on with another document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Play:
    """Play a file, or press keys."""

    url: str = ""
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Record the caller: read, but not done."""


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom a <Dial> rings. url: TwiML that the callee hears before the two are joined.

    events: which status callbacks are wanted.
    """

    to: str
    url: str = ""
    method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring all callees at once and join the first who answers. Times are in seconds."""

    callees: tuple[Callee, ...]
    action: str = ""
    method: str = "POST"
    caller_id: str = ""
    timeout_s: int = 30
    time_limit_s: int = 14_400
    answer_on_bridge: bool = False


Verb = Connect | Hangup | Say | Pause | Reject | Redirect | Play | Record | Dial


@dataclass(frozen=True, slots=True)
class Document:
    """What to do with a call, in order, and what Twilio would have warned of."""

    verbs: tuple[Verb, ...]
    warnings: tuple[str, ...] = ()

    def connect(self) -> Connect | None:
        """Return the first verb that streams."""
        return next((verb for verb in self.verbs if isinstance(verb, Connect)), None)


def interpret(text: str) -> Document:
    """Read a document. Raises TwimlRefused where Twilio would log an error."""
    root = _root(text)
    if root.tag != "Response":
        raise TwimlRefused("12100", f"The root is <{root.tag}>, not <Response>.")
    warnings: list[str] = []
    verbs = tuple(_verb(element, warnings) for element in root)
    if any(isinstance(verb, Reject) for verb in verbs[1:]):
        warnings.append("12200: <Reject> is not the first verb, so the call is answered.")
    return Document(verbs, tuple(warnings))


def _root(text: str) -> ElementTree.Element:
    if len(text.encode()) > DOCUMENT_BYTES:
        raise TwimlRefused("11750", "The document is longer than 64 kB.")
    if "<!DOCTYPE" in text:
        # Nothing in TwiML needs one, and an entity can make a kilobyte into a gigabyte.
        raise TwimlRefused("12100", "The document has a DOCTYPE.")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise TwimlRefused("12100", f"The document is not XML ({error}).") from None


def _verb(element: ElementTree.Element, warnings: list[str]) -> Verb:
    reader = _VERBS.get(element.tag)
    if reader is None:
        raise TwimlRefused(
            "12200", f"<{element.tag}> is not one of {', '.join(_VERBS)}; case counts."
        )
    known = _ATTRIBUTES[element.tag]
    _only(element, known)
    return reader(element, warnings)


def _only(element: ElementTree.Element, known: frozenset[str]) -> None:
    unknown = sorted(element.attrib.keys() - known)
    if unknown:
        raise TwimlRefused("12200", f"<{element.tag}> has no attribute {unknown[0]}.")


def _connect(element: ElementTree.Element, warnings: list[str]) -> Connect:
    nouns = list(element)
    if len(nouns) != 1 or nouns[0].tag != "Stream":
        raise TwimlRefused("12200", "<Connect> takes exactly one <Stream> here.")
    method = element.get("method", "POST")
    return Connect(_stream(nouns[0], warnings), element.get("action", ""), method)


def _stream(element: ElementTree.Element, warnings: list[str]) -> Stream:
    _only(element, _STREAM_ATTRIBUTES)
    if element.get("track", "inbound_track") != "inbound_track":
        raise TwimlRefused("31941", "<Connect><Stream> carries the inbound_track only.")
    return Stream(
        url=_stream_url(element.get("url", ""), warnings),
        name=element.get("name", ""),
        status_callback=element.get("statusCallback", ""),
        status_callback_method=element.get("statusCallbackMethod", "POST"),
        parameters=dict(_parameter(child) for child in element),
    )


def _stream_url(url: str, warnings: list[str]) -> str:
    parts = urlsplit(url)
    if not parts.hostname:
        raise TwimlRefused("31923", "The stream's URL is missing or malformed.")
    if parts.scheme not in ("ws", "wss"):
        raise TwimlRefused("31922", "The stream's URL must be wss.")
    if parts.scheme == "ws" and parts.hostname not in _LOOPBACK:
        warnings.append("31922: Twilio streams to wss only; the simulator goes on with ws.")
    if parts.query or parts.fragment:
        warnings.append("31920: the stream's URL has a query, which Twilio strips.")
    return parts._replace(query="", fragment="").geturl()


def _parameter(element: ElementTree.Element) -> tuple[str, str]:
    if element.tag != "Parameter":
        raise TwimlRefused("12200", f"<Stream> holds no <{element.tag}>.")
    _only(element, frozenset({"name", "value"}))
    name, value = element.get("name"), element.get("value")
    if not name or value is None:
        raise TwimlRefused("12200", "<Parameter> needs a name and a value.")
    if len(name) + len(value) >= PARAMETER_CHARACTERS:
        raise TwimlRefused(
            "12200",
            f"<Parameter> {name}: name and value stay under {PARAMETER_CHARACTERS} characters.",
        )
    return name, value


def _pause(element: ElementTree.Element, _warnings: list[str]) -> Pause:
    return Pause(_seconds(element, "length", 1))


def _reject(element: ElementTree.Element, _warnings: list[str]) -> Reject:
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise TwimlRefused("12200", "<Reject reason> is rejected or busy.")
    return Reject(reason)


def _redirect(element: ElementTree.Element, _warnings: list[str]) -> Redirect:
    url = (element.text or "").strip()
    if not url:
        raise TwimlRefused("12200", "<Redirect> needs a URL.")
    return Redirect(url, element.get("method", "POST"))


def _say(element: ElementTree.Element, _warnings: list[str]) -> Say:
    text = (element.text or "").strip()
    return Say(text, element.get("voice", ""), element.get("language", ""))


def _play(element: ElementTree.Element, _warnings: list[str]) -> Play:
    url, digits = (element.text or "").strip(), element.get("digits", "")
    if bool(url) == bool(digits):
        raise TwimlRefused("12200", "<Play> takes a URL, or digits.")
    if digits.strip("0123456789*#ABCDwW"):
        raise TwimlRefused("12200", "<Play digits> holds 0-9, A-D, *, #, w and W.")
    return Play(url, digits)


def _record(_element: ElementTree.Element, warnings: list[str]) -> Record:
    warnings.append("The simulator does not record: <Record> is passed over.")
    return Record()


def _dial(element: ElementTree.Element, warnings: list[str]) -> Dial:
    if "record" in element.attrib:
        warnings.append("The simulator does not record: <Dial record> does nothing.")
    number = (element.text or "").strip()
    callees = [_callee(child) for child in element]
    if bool(number) == bool(callees):
        raise TwimlRefused("12200", "<Dial> takes a number, or <Number> and <Sip> nouns.")
    if len(callees) > DIAL_CALLEES:
        raise TwimlRefused("12200", f"<Dial> rings {DIAL_CALLEES} at most.")
    on_bridge = element.get("answerOnBridge", "false")
    if on_bridge not in ("true", "false"):
        raise TwimlRefused("12200", "<Dial answerOnBridge> is true or false.")
    return Dial(
        tuple(callees) or (Callee(number),),
        action=element.get("action", ""),
        method=element.get("method", "POST"),
        caller_id=element.get("callerId", ""),
        timeout_s=_seconds(element, "timeout", 30),
        time_limit_s=_seconds(element, "timeLimit", 14_400),
        answer_on_bridge=on_bridge == "true",
    )


def _callee(element: ElementTree.Element) -> Callee:
    if element.tag not in ("Number", "Sip"):
        raise TwimlRefused("12200", f"<Dial> holds no <{element.tag}> here.")
    _only(element, _CALLEE_ATTRIBUTES)
    to = (element.text or "").strip()
    if not to or (element.tag == "Sip" and not to.startswith(("sip:", "sips:"))):
        raise TwimlRefused("12200", f"<{element.tag}> names nobody who could be rung.")
    events = tuple(element.get("statusCallbackEvent", "completed").split())
    if not set(events) <= _EVENTS:
        raise TwimlRefused("12200", f"statusCallbackEvent holds {', '.join(sorted(_EVENTS))}.")
    return Callee(
        to,
        url=element.get("url", ""),
        method=element.get("method", "POST"),
        status_callback=element.get("statusCallback", ""),
        status_callback_method=element.get("statusCallbackMethod", "POST"),
        events=events,
    )


def _seconds(element: ElementTree.Element, name: str, default: int) -> int:
    value = element.get(name, str(default))
    if not value.isdecimal():
        raise TwimlRefused("12200", f"<{element.tag} {name}> is a whole number of seconds.")
    return int(value)


_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_VERBS: Mapping[str, Callable[[ElementTree.Element, list[str]], Verb]] = {
    "Connect": _connect,
    "Hangup": lambda _element, _warnings: Hangup(),
    "Dial": _dial,
    "Play": _play,
    "Record": _record,
    "Say": _say,
    "Pause": _pause,
    "Reject": _reject,
    "Redirect": _redirect,
}
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "Connect": frozenset({"action", "method"}),
    "Dial": frozenset(
        {"action", "method", "timeout", "timeLimit", "answerOnBridge", "callerId", "hangupOnStar"}
        | {"record", "trim", "ringTone", "sequential", "referUrl", "referMethod"}
        | {"recordingStatusCallback", "recordingStatusCallbackEvent", "recordingTrack"}
        | {"recordingStatusCallbackMethod"}
    ),
    "Hangup": frozenset(),
    "Play": frozenset({"digits", "loop"}),
    "Record": frozenset(
        {"action", "method", "timeout", "finishOnKey", "maxLength", "playBeep", "trim"}
        | {"recordingStatusCallback", "recordingStatusCallbackEvent", "transcribe"}
        | {"recordingStatusCallbackMethod", "transcribeCallback"}
    ),
    "Say": frozenset({"voice", "language", "loop"}),
    "Pause": frozenset({"length"}),
    "Reject": frozenset({"reason"}),
    "Redirect": frozenset({"method"}),
}
_CALLEE_ATTRIBUTES = frozenset(
    {"url", "method", "statusCallback", "statusCallbackMethod", "statusCallbackEvent"}
    | {"sendDigits", "username", "password", "byoc"}
)
_STREAM_ATTRIBUTES = frozenset(
    {"url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName"}
)
