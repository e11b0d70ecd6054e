"""The list of sessions, and signing in again for people whose only way in is single sign-on."""

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html

from conversations.accounts import api_tokens, sessions
from conversations.accounts.models import UserSession
from conversations.request import SignedInRequest

OTHERS = "others"


@login_required
@reauthentication_required(allow_get=True)
def session_list(request: SignedInRequest) -> HttpResponse:
    """List a person's sessions. End one of the others, or all others."""
    if request.method != "POST":
        signed_in = sessions.sign_ins(request.user, request.session.session_key)
        context = {"sessions": signed_in, "others": OTHERS}
        return render(request, "account/sessions.html", context)
    others = UserSession.objects.filter(user=request.user).exclude(session_key=request.session.session_key)
    keys = {str(pk): key for pk, key in others.values_list("pk", "session_key")}
    chosen = request.POST.get("session", "")
    ended = list(keys.values()) if chosen == OTHERS else [keys[chosen]] if chosen in keys else []
    if chosen == OTHERS:
        api_tokens.revoke_all(request.user, "signing out everywhere else")
    if ended:
        sessions.end(request.user.pk, ended)
        get_adapter(request).send_notification_mail("account/email/sessions_ended", request.user)
        messages.success(request, "Signed out everywhere else." if chosen == OTHERS else "Signed out there.")
    return redirect("sessions")


@login_required
def sign_in_again(request: SignedInRequest) -> HttpResponse:
    """Ask for another single sign-on before a change that needs one, and return to the page of that change."""
    url = get_next_redirect_url(request) or ""
    return render(
        request,
        "account/sign_in_again.html",
        {"redirect_field": format_html('<input type="hidden" name="next" value="{}">', url)},
    )
