"""Columns of lists that say times and states as pages do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.dashboard.templatetags.dashboard import when

Column = Callable[[Any], "SafeString | str"]


def moment(name: str, title: str) -> Column:
    """Make a column of a time, in the viewer's zone. name: the field."""

    @admin.display(description=title, ordering=name)
    def column(row: Any) -> SafeString | str:
        return when(getattr(row, name))

    column.__name__ = name
    return column


def badge(text: str, look: str) -> SafeString:
    """Show a state. look: good, warn, bad or quiet."""
    return format_html('<span class="bc-badge bc-badge-{}">{}</span>', look, text)
