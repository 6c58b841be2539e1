"""What a callback of Twilio's does to its call, once it is that one's turn.

Everything here works on a row that is locked, and changes what is final only by filling gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from apps.calls.endings import call_close
from apps.calls.models import Call, CallEvent, TwilioCallback
from apps.calls.news import verdict_given
from apps.calls.transfer_ends import leg_apply
from apps.telephony.progress import Progress, moment, number, progress_read, word
from apps.telephony.stream_errors import stream_fault

Status = Call.Status
Kind = TwilioCallback.Kind

# What an effect may change beside the end: the columns to save.
TOLD = (
    *("call_sid", "twilio_account_sid", "direction", "from_number", "to_number"),
    *("status", "twilio_status", "sequence", "answered_at", "answered_by"),
    *("billed_s", "error_code", "error"),
)

# A call only ever moves to a later one of these.
_ORDER: Mapping[str, int] = {
    status: place
    for place, status in enumerate(
        (
            Status.SCHEDULED,
            Status.QUEUED,
            Status.UNKNOWN,
            Status.DIALING,
            Status.RINGING,
            Status.IN_PROGRESS,
        )
    )
}
_MEANT: Mapping[str, Status] = {
    "queued": Status.DIALING,
    "initiated": Status.DIALING,
    "ringing": Status.RINGING,
    "in-progress": Status.IN_PROGRESS,
}
# Why a call ended of which nobody else has said it.
END_REASONS: Mapping[str, str] = {
    "completed": "twilio_completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "twilio_failed",
    "canceled": "canceled",
}


def status_apply(call: Call, callback: TwilioCallback) -> None:
    """A call's progress. What is late or comes twice changes nothing but gaps."""
    progress = progress_read(callback.fields)
    at = moment_of(call, progress.at, callback.received_at)
    if progress.status == "in-progress" and call.answered_at is None:
        call.answered_at = at
    if progress.answered_by and not call.answered_by:
        call.answered_by = progress.answered_by
        if not progress.is_final:
            verdict_given(call)
    if _is_news(call, progress, callback.sequence):
        call.twilio_status = progress.status
        call.sequence = callback.sequence if callback.sequence is not None else call.sequence
    if progress.is_final:
        _finish(call, progress, at)
    else:
        call_move(call, progress.status)


def call_move(call: Call, twilio_status: str) -> None:
    """Bring a call forward to what Twilio says of it; never back, and never out of its end."""
    meant = _MEANT.get(twilio_status)
    if meant is not None and not call.is_over and _ORDER[meant] > _ORDER[call.status]:
        call.status = meant


def _is_news(call: Call, progress: Progress, sequence: int | None) -> bool:
    if not progress.status or progress_read({"CallStatus": call.twilio_status}).is_final:
        return False
    known = call.sequence
    return progress.is_final or sequence is None or known is None or sequence > known


def _finish(call: Call, progress: Progress, at: datetime) -> None:
    if progress.duration_s is not None:
        call.billed_s = progress.duration_s
    if progress.error_code and not call.error_code:
        call.error_code = progress.error_code
    if progress.sip_code and progress.status != "completed" and not call.error:
        call.error = f"SIP {progress.sip_code}"
    call_close(
        call,
        status=progress.status,
        reason=call.end_reason or END_REASONS[progress.status],
        at=at,
    )


def stream_apply(call: Call, callback: TwilioCallback) -> None:
    """News of a stream: only what went wrong is kept, with what it means."""
    fields = callback.fields
    if fields.get("StreamEvent") != "stream-error":
        return
    fault = stream_fault(fields.get("StreamError", ""))
    _event(
        call,
        callback,
        "stream.error",
        {
            "code": fault.code,
            "name": fault.name,
            "meaning": fault.meaning,
            "said": fields.get("StreamError", "")[:200],
            "stream_sid": fields.get("StreamSid", "")[:64],
        },
    )


def amd_apply(call: Call, callback: TwilioCallback) -> None:
    """Who answered. A verdict is kept, and told to whoever holds the conversation."""
    verdict = word(callback.fields.get("AnsweredBy", ""), 32)
    if not verdict:
        return
    call.answered_by = verdict
    took = number(callback.fields.get("MachineDetectionDuration", ""))
    _event(call, callback, "machine_detection", {"answered_by": verdict, "duration_ms": took})
    if not call.is_over:
        verdict_given(call)


def recording_apply(call: Call, callback: TwilioCallback) -> None:
    """A recording of Twilio's own: where it is, with Twilio's credentials."""
    fields = callback.fields
    _event(
        call,
        callback,
        "twilio.recording",
        {
            "recording_sid": word(fields.get("RecordingSid", ""), 64),
            "status": word(fields.get("RecordingStatus", ""), 32),
            "url": fields.get("RecordingUrl", "")[:500],
            "duration_s": number(fields.get("RecordingDuration", "")),
            "channels": number(fields.get("RecordingChannels", "")),
        },
    )


Effect = Callable[[Call, TwilioCallback], None]
EFFECTS: dict[str, Effect] = {
    Kind.STATUS: status_apply,
    Kind.STREAM: stream_apply,
    Kind.AMD: amd_apply,
    Kind.RECORDING: recording_apply,
    Kind.LEG: leg_apply,
}


def moment_of(call: Call, told: datetime | None, received_at: datetime) -> datetime:
    """Return when it happened: Twilio's clock, within what ours allows. It tells whole seconds."""
    return max(call.started_at, min(told or received_at, received_at))


def _event(call: Call, callback: TwilioCallback, kind: str, data: Mapping[str, object]) -> None:
    at = moment(callback.fields.get("Timestamp", ""))
    CallEvent.objects.create(
        call=call, at=moment_of(call, at, callback.received_at), kind=kind, data=dict(data)
    )
