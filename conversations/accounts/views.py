from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from django.contrib import auth, messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from conversations.accounts import deletion
from conversations.accounts.forms import DeleteAccountForm
from conversations.actions import Refused
from conversations.request import SignedInRequest


@login_required
@reauthentication_required
def delete(request: SignedInRequest) -> HttpResponse:
    """Delete the account of whoever enters its username."""
    form = DeleteAccountForm(request.POST or None, user=request.user)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "reason": deletion.why_not_deletable(request.user)}
        return render(request, "account/delete.html", context)
    adapter, email = get_adapter(request), request.user.email
    try:
        is_deleted = deletion.delete_own_account(user=request.user, address=adapter.get_client_ip(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("delete_account")
    if email and is_deleted:
        adapter.send_notification_mail("account/email/account_deleted", request.user, email=email)
    auth.logout(request)
    messages.success(request, "Your account and your conversations have been deleted.")
    return redirect("account_login")
