"""What a person is asked by accounts, and answers on the home page."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts.invitations import invitation_accept, invitation_decline
from apps.accounts.models import Invitation
from apps.dashboard.scoping import person_of


@require_POST
def accept(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Become a member. An invitation of somebody else, or one that was withdrawn, is a 404."""
    try:
        member = invitation_accept(user=person_of(request), invitation_id=pk)
    except Invitation.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"You are {member.role} of {member.account} now.")
    return redirect("admin:index")


@require_POST
def decline(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Stay outside."""
    try:
        found = invitation_decline(user=person_of(request), invitation_id=pk)
    except Invitation.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"You have declined the invitation to {found.account}.")
    return redirect("admin:index")
