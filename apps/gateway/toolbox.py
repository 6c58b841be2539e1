"""What a bot can do besides talking."""

from __future__ import annotations

from collections.abc import Sequence

from apps.voice.ports import Tool, ToolCall, ToolResult

END_CALL = Tool(
    "end_call",
    "End the phone call. Say goodbye first; the call ends when the goodbye has been heard.",
    {"type": "object", "properties": {}},
)


class CallToolbox:
    """Implements ``voice.ports.Toolbox``: the config's tools, and ending the call."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = [*(tool for tool in tools if tool.name != END_CALL.name), END_CALL]

    def tools(self) -> Sequence[Tool]:
        return self._tools

    async def call(self, call: ToolCall) -> ToolResult:
        if call.name == END_CALL.name:
            return ToolResult("The call ends when your goodbye has been heard.", ends_call=True)
        # Until tools can be run, the model must not believe that one was.
        return ToolResult(f"The tool {call.name} cannot be used on this call.")
