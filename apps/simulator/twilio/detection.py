"""Machine detection, before the TwiML or beside it."""

from __future__ import annotations

from apps.simulator.twilio.live import LiveCall
from apps.simulator.twilio.webhooks import Hook

_TIMEOUT_S = 30.0


def is_wanted(live: LiveCall) -> bool:
    """Say whether a call asked for it. SendDigits cancels it."""
    asked = live.call.asked
    return bool(asked.get("MachineDetection")) and not asked.get("SendDigits")


def is_async(live: LiveCall) -> bool:
    return live.call.asked.get("AsyncAmd") == "true"


async def detect(live: LiveCall) -> dict[str, str]:
    """Listen for as long as it takes; returns the fields that say what was found."""
    asked, person = live.call.asked, live.person
    to_the_end = asked.get("MachineDetection") == "DetectMessageEnd"
    takes_s = live.exchange.habits.detect_s
    if to_the_end and person.temper == "machine":
        takes_s += person.greeting_s
    limit_s = float(asked.get("MachineDetectionTimeout") or _TIMEOUT_S)
    await live.sleep(min(takes_s, limit_s))
    found = "unknown" if takes_s > limit_s else person.detected(to_the_end=to_the_end)
    live.call.facts["answered_by"] = found
    return {
        "AnsweredBy": found,
        "MachineDetectionDuration": str(round(min(takes_s, limit_s) * 1_000)),
    }


async def detect_beside(live: LiveCall) -> None:
    """Detect while the call goes on, and tell its callback."""
    fields = await detect(live)
    asked, call = live.call.asked, live.call
    hook = Hook(
        asked.get("AsyncAmdStatusCallback"), asked.get("AsyncAmdStatusCallbackMethod") or "POST"
    )
    told = {"CallSid": call.sid, "AccountSid": call.account_sid, **fields}
    live.exchange.callbacks.send(f"{call.sid} amd", live.account, "amd", hook, told)
