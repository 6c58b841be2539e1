"""Google Cloud text-to-speech over gRPC, as strict as the original, in a server of its own.

Written from docs.cloud.google.com/text-to-speech (Chirp 3: HD voices, voice types, quotas), the
comments of the messages in google-cloud-texttospeech 2.38, google.aip.dev/193 (errors) and
google.aip.dev/auth/4111 (self-signed JWT), read in November 2026. By what people report: a bad API
key is INVALID_ARGUMENT with the reason API_KEY_INVALID; voices that cannot stream are refused with
INVALID_ARGUMENT (googleapis/google-cloud-node#6594). That an account without billing gets
PERMISSION_DENIED with BILLING_DISABLED is Google's general rule; for this service it is not said.

Before the server stands a relay that only passes bytes on, so that tests can see and break
connections, which a gRPC server does not show.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.auth import exceptions as auth_exceptions
from google.auth import jwt
from google.cloud.texttospeech_v1.types import cloud_tts
from google.protobuf import any_pb2
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import error_details_pb2, status_pb2

from tests.vendors.kinds import VoiceStandIn
from tests.vendors.serving import KEY, FaultKind, Seen

SERVICE = "google.cloud.texttospeech.v1.TextToSpeech"
AUDIENCE = "https://texttospeech.googleapis.com/"
STREAMING = re.compile(r"[a-z]{2,3}-[A-Z]{2}-Chirp3-HD-[A-Z][a-z]+")
WHOLE = re.compile(r"[a-z]{2,3}-[A-Z]{2}-(?:Neural2|Standard|Wavenet|Studio)-[A-Z]")
GEMINI = frozenset({"gemini-2.5-flash-tts", "gemini-2.5-pro-tts", "gemini-3.1-flash-tts-preview"})
_LONGEST = 5_000
_CUT_AFTER = 3
_MULAW = cloud_tts.AudioEncoding.MULAW
_CODES: Mapping[int, Any] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    402: grpc.StatusCode.PERMISSION_DENIED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    422: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Refused(Exception):
    """What Google refuses: an HTTP status, as its table has it for gRPC's, a sentence, a reason."""

    def __init__(self, status: int, why: str, reason: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.reason = status, why, reason


@dataclass(frozen=True)
class Connection:
    """One client's connection to the relay."""

    transport: asyncio.WriteTransport


class GoogleSpeechStandIn(VoiceStandIn):
    """certificates: of the service accounts that are let in, by the id of the key. passed: bytes
    sent to clients, as they go out. hears_out: it does nothing before everything was said, so that
    gRPC cannot lose what happens over a message that it is still sending."""

    def __init__(self) -> None:
        super().__init__()
        self.certificates: dict[str, bytes] = {}
        self.passed = 0
        self.hears_out = False

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve until the block ends; ``url`` is the relay's http:// origin."""
        server = grpc.aio.server()
        handlers = {
            "StreamingSynthesize": grpc.stream_stream_rpc_method_handler(self._streaming),
            "SynthesizeSpeech": grpc.unary_unary_rpc_method_handler(self._whole),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        relay = await asyncio.start_server(Relay(self, port).pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            relay.close()
            self.hang_up()
            await self.until(lambda: not self.connections)
            await server.stop(None)

    # --- the two methods ----------------------------------------------------------------------

    async def _streaming(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        self.live += 1
        try:
            if self.hears_out:
                requests = _again([message async for message in requests])
            fault = await self._begun(context)
            text = await self._asked(requests)
            async for piece in self._answers(text, fault, context):
                if fault == "garbage":
                    yield b"\xff" * 40
                else:
                    found = cloud_tts.StreamingSynthesizeResponse(audio_content=piece)
                    yield cloud_tts.StreamingSynthesizeResponse.serialize(found)
        except Refused as exc:
            await self._abort(context, exc)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        finally:
            self.live -= 1

    async def _answers(self, text: str, fault: FaultKind, context: Any) -> AsyncIterator[bytes]:
        if fault == "empty":
            return
        if fault == "error_body":
            raise Refused(500, "set by the test")
        await self.before_first()
        for number, piece in enumerate(self.mulaw(text, fault)):
            yield piece
            if self.pace_s:
                await asyncio.sleep(self.pace_s)
            if number == 0:
                await self.after_first()
            # What gRPC has not handed over when a connection breaks is lost, hence not the first.
            elif number == _CUT_AFTER and fault == "cut":
                await self._cut(_CUT_AFTER * len(piece))
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")

    async def _cut(self, sent: int) -> None:
        """Break the connection once so many bytes are on their way to the client, and some there,
        if it says so: gRPC loses what it has not handed over."""
        await self.until(lambda: self.passed >= sent and self.heard != 0)
        for connection in self.connections:
            connection.transport.close()

    async def _whole(self, message: bytes, context: Any) -> bytes:
        self.live += 1
        try:
            fault = await self._begun(context)
            request = cloud_tts.SynthesizeSpeechRequest.deserialize(message)
            _known(request)
            _must("text" in request.input, "input needs a text")
            _check_voice(request.voice, WHOLE)
            _check_audio(request.audio_config)
            text = request.input.text
            self._told(text, request.voice)
            await self.before_first()
            await self.after_first()
            sound = b"" if fault == "empty" else wav(b"".join(self.mulaw(text, fault)))
            found = cloud_tts.SynthesizeSpeechResponse(audio_content=sound)
            return bytes(cloud_tts.SynthesizeSpeechResponse.serialize(found))
        except Refused as exc:
            await self._abort(context, exc)
            raise
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        finally:
            self.live -= 1

    # --- what is checked ----------------------------------------------------------------------

    async def _begun(self, context: Any) -> FaultKind:
        """Check who calls. Raises Refused."""
        headers = dict(context.invocation_metadata())
        self.seen.append(Seen("POST", SERVICE, {}, headers, b"", self._port()))
        fault = self.next_fault()
        if fault == "status":
            billing = "BILLING_DISABLED" if self.fault.status == 402 else ""
            raise Refused(self.fault.status, "set by the test", billing)
        self._check_key(headers)
        if fault == "mute":
            await asyncio.Event().wait()
        return fault

    def _port(self) -> int:
        """Return the port of the client's connection: while there is but one, it is known."""
        ports = [one.transport.get_extra_info("peername")[1] for one in self.connections]
        return int(ports[0]) if len(ports) == 1 else 0

    def _check_key(self, headers: Mapping[str, str]) -> None:
        token = headers.get("authorization", "")
        if token.startswith("Bearer "):
            try:
                decode: Any = jwt.decode  # has no types
                claims = decode(token[7:], certs=self.certificates, audience=AUDIENCE)
                _must(claims["iss"] == claims["sub"], "issuer and subject differ")
            except (ValueError, KeyError, auth_exceptions.GoogleAuthError):
                raise Refused(401, "invalid authentication credentials") from None
        elif "x-goog-api-key" not in headers:
            raise Refused(403, "callers without established identity")
        elif headers["x-goog-api-key"] != KEY:
            raise Refused(400, "API key not valid", "API_KEY_INVALID")

    async def _asked(self, requests: AsyncIterator[bytes]) -> str:
        """Take the configuration and the texts, in that order. Raises Refused."""
        config = None
        texts = []
        async for message in requests:
            request = cloud_tts.StreamingSynthesizeRequest.deserialize(message)
            _known(request)
            if config is None:
                _must("streaming_config" in request, "the first message must be a configuration")
                config = request.streaming_config
                _check_voice(config.voice, STREAMING)
                _check_audio(config.streaming_audio_config)
            else:
                _must("input" in request, "a configuration comes but once")
                _check_input(request.input, config.voice)
                texts.append(request.input.text)
        _must(config is not None and texts, "there is nothing to synthesize")
        assert config is not None
        self._told("".join(texts), config.voice)
        return "".join(texts)

    def _told(self, text: str, voice: Any) -> None:
        _must(0 < len(text.encode()) <= _LONGEST, "input has up to 5000 bytes")
        self.spoken.append(text)
        self.asked.append((voice.name, voice.model_name))

    async def _abort(self, context: Any, refused: Refused) -> None:
        self.refuse(refused.why)
        code = _CODES.get(refused.status, grpc.StatusCode.UNKNOWN)
        status = status_pb2.Status(code=code.value[0], message=refused.why)
        if refused.reason:
            info = error_details_pb2.ErrorInfo(reason=refused.reason, domain="googleapis.com")
            packed = any_pb2.Any()
            packed.Pack(info)
            status.details.append(packed)
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(code, refused.why, details)


class Relay:
    """Passes bytes between a client and the server, and knows the client's connection."""

    def __init__(self, stand_in: GoogleSpeechStandIn, port: int) -> None:
        self._stand_in = stand_in
        self._port = port

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer.transport)
        self._stand_in.connections.add(connection)
        try:
            back, out = await asyncio.open_connection("127.0.0.1", self._port)
            ways = [
                asyncio.ensure_future(self._copy(reader, out)),
                asyncio.ensure_future(self._copy(back, writer, count=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            out.close()
        finally:
            writer.close()
            self._stand_in.connections.discard(connection)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool = False
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
                self._stand_in.passed += len(piece) * count


async def _again(messages: list[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


def _known(message: Any) -> None:
    """Refuse fields that the service does not have."""
    _must(not len(UnknownFieldSet(type(message).pb(message))), "there are unknown fields")


def _check_voice(voice: Any, names: re.Pattern[str]) -> None:
    if voice.model_name:
        _must(voice.model_name in GEMINI, f"there is no model {voice.model_name}")
        _must(re.fullmatch(r"[A-Z][a-z]+", voice.name), "Gemini's voices have a name alone")
    else:
        _must(names.fullmatch(voice.name), f"{voice.name} cannot be used with this method")
        _must(voice.name.startswith(f"{voice.language_code}-"), "the language is not the voice's")
    _must(re.fullmatch(r"[a-z]{2,3}-[A-Z]{2}", voice.language_code), "the language is none")


def _check_audio(audio: Any) -> None:
    _must(audio.audio_encoding == _MULAW, "this stand-in makes mu-law only")
    _must(audio.sample_rate_hertz == 8_000, "this stand-in makes 8000 Hz only")
    _must(audio.speaking_rate == 0 or 0.25 <= audio.speaking_rate <= 2, "the rate is out of bounds")


def _check_input(given: Any, voice: Any) -> None:
    _must("text" in given, "input needs a text")
    _must(not given.prompt or voice.model_name in GEMINI, "a prompt is for Gemini's models")


def _must(right: object, why: str) -> None:
    if not right:
        raise Refused(400, why)


def wav(samples: bytes) -> bytes:
    """Return mu-law samples at 8 kHz in a WAV file, as ``SynthesizeSpeech`` does."""
    form = struct.pack("<HHIIHHH", 7, 1, 8_000, 8_000, 1, 8, 0)
    fact = struct.pack("<I", len(samples))
    parts = ((b"fmt ", form), (b"fact", fact), (b"data", samples))
    body = b"".join(name + struct.pack("<I", len(part)) + part for name, part in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
