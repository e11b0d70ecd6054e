"""The page of a person's API tokens."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_variables

from conversations.accounts import api_tokens
from conversations.accounts.forms import ApiTokenForm
from conversations.models import ApiToken
from conversations.request import SignedInRequest

TOO_MANY = f"You have {api_tokens.MAX_TOKENS} tokens already. Revoke one that you no longer need first."


@login_required
@reauthentication_required(allow_get=True)
@sensitive_variables("secret", "context")
def token_list(request: SignedInRequest) -> HttpResponse:
    """List a person's API tokens. By POST, revoke the one with the id `revoke`, or create one and show it once."""
    if request.method == "POST" and "revoke" in request.POST:
        own = ApiToken.objects.visible_to(request.user)
        pk = request.POST["revoke"]
        token = get_object_or_404(own, pk=pk if pk.isascii() and pk.isdigit() and len(pk) < 19 else 0)
        api_tokens.revoke(request, token)
        messages.success(request, "Token revoked.")
        return redirect("api_tokens")
    form, secret = ApiTokenForm(request.POST or None, initial={"days": 30}), ""
    if request.method == "POST" and form.is_valid():
        try:
            _, secret = api_tokens.create(request, request.user, **form.cleaned_data)
            form = ApiTokenForm(initial={"days": 30})
        except api_tokens.TooManyTokens:
            form.add_error(None, TOO_MANY)
    tokens = ApiToken.objects.visible_to(request.user).order_by("-pk")
    context = {
        "form": form,
        "error_in": next(iter(form.errors), ""),  # its error gets the focus: the form is below the list
        "secret": secret,
        "tokens": tokens,
        "most": api_tokens.MAX_TOKENS,
    }
    return render(request, "account/api_tokens.html", context, status=422 if form.errors else 200)
