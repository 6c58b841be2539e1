"""What a bot can do besides talking: its tools, ending the call, putting it through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.bots.selectors import Admission
from apps.bots.toolruns import Webhook, webhook_run, webhooks_of
from apps.bots.tools import END_CALL, TRANSFER_CALL
from apps.voice.ports import Controls, Tool, ToolCall, ToolResult, ToolTerms
from apps.voice.toolwords import NOTE

_END_CALL = Tool(
    END_CALL,
    "End the phone call. Say goodbye first; the call ends when the goodbye has been heard.",
    {"type": "object", "properties": {}},
)
_GOODBYE = "The call ends when your goodbye has been heard. Say it now, unless you have."
_HANDOVER = "The call is put through when what you say has been heard. Say so now, unless you have."
_NOWHERE = NOTE + "There is no such target. The targets: {names}."
_NO_TRANSFERS = NOTE + (
    "This server cannot put calls through. Say so, and offer to help otherwise or to end the call."
)
_UNKNOWN = NOTE + "There is no tool of this name. Go on without it."


class CallToolbox:
    """Implements ``voice.ports.Toolbox`` for one call.

    targets: whom the call may be put through to, by name. transfers: whether it can be.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        hooks: Mapping[str, Webhook],
        *,
        targets: Mapping[str, Any],
        transfers: bool,
    ) -> None:
        self._hooks = {name: hook for name, hook in hooks.items() if name != END_CALL}
        # PostgreSQL's JSON does not keep the order of members: theirs would differ from SQLite's.
        self._targets = dict(sorted(targets.items()))
        self._transfers = transfers
        self._tools = [tool for tool in tools if tool.name in self._hooks]
        self._tools += [_END_CALL, *([_transfer_tool(self._targets)] if targets else [])]

    def tools(self) -> Sequence[Tool]:
        return self._tools

    def terms(self, name: str) -> ToolTerms:
        hook = self._hooks.get(name)
        return ToolTerms() if hook is None else hook.terms

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        if call.name == END_CALL:
            return ToolResult(_GOODBYE, ends_call=True)
        if call.name == TRANSFER_CALL and self._targets:
            return self._transfer(call)
        hook = self._hooks.get(call.name)
        if hook is None:
            return ToolResult(_UNKNOWN, outcome="unknown")
        run = await webhook_run(hook, call, controls)
        return run.result

    def _transfer(self, call: ToolCall) -> ToolResult:
        # Where there is but one, small models name none.
        only = next(iter(self._targets)) if len(self._targets) == 1 else ""
        target = str(call.arguments.get("target") or only)
        if target not in self._targets:
            return ToolResult(_NOWHERE.format(names=", ".join(self._targets)), outcome="unknown")
        if not self._transfers:
            return ToolResult(_NO_TRANSFERS, outcome="unavailable")
        return ToolResult(_HANDOVER, transfer_to=target)


def toolbox_of(admission: Admission, tools: Sequence[Tool], *, transfers: bool) -> CallToolbox:
    """Build the toolbox of a call. tools: what the bot's model is to know of."""
    return CallToolbox(
        tools,
        webhooks_of(admission.document, admission.secrets),
        targets=admission.document.get("transfers") or {},
        transfers=transfers,
    )


def _transfer_tool(targets: Mapping[str, Any]) -> Tool:
    described = [
        f"{name}: {found['description']}" if found.get("description") else name
        for name, found in targets.items()
    ]
    return Tool(
        TRANSFER_CALL,
        "Put the caller through to somebody else. Say so first; it happens when that has been "
        f"heard. The targets are {'; '.join(described)}",
        {
            "type": "object",
            "properties": {"target": {"type": "string", "enum": list(targets)}},
            "required": ["target"],
        },
    )
