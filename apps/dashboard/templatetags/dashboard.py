"""How pages say times, lengths and icons: ``{% load dashboard %}``."""

from __future__ import annotations

import uuid
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.dashboard import wording
from apps.dashboard.icons import ICONS
from apps.dashboard.scoping import may

register = template.Library()


@register.simple_tag
def when(value: datetime | None, form: str = "") -> SafeString | str:
    """Say a time in the viewer's zone. form: "" (date and time), "clock" (time with seconds)."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    shown = f"{local:%H:%M:%S}" if form == "clock" else f"{local.day} {local:%b %Y, %H:%M}"
    return format_html(
        '<time datetime="{}" data-form="{}" title="{}">{}</time>',
        value.isoformat(),
        form,
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        shown,
    )


@register.simple_tag
def icon(name: str) -> SafeString:
    """Show an icon, which says nothing to a screen reader: words stand beside it."""
    if name not in ICONS:
        raise template.TemplateSyntaxError(f"{name} does not stand in apps/dashboard/icons.py.")
    return format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', name)


@register.filter
def lasting(seconds: float | None) -> str:
    """Say a length, as 1:05 or 1:02:03."""
    return wording.length(seconds)


@register.simple_tag(takes_context=True)
def allowed(context: template.Context, scope: str, account_id: uuid.UUID) -> bool:
    """Tell whether the viewer may do what needs the scope, in the account."""
    return may(context["request"], scope, account_id)
