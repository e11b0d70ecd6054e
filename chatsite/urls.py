from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from chatsite import probes, problems, well_known
from conversations.generation import worker

handler400, handler404, handler500 = problems.bad_request, problems.not_found, problems.server_error
accounts = "allauth.account.urls" if settings.LOCAL_ACCOUNTS else "conversations.accounts.sso.urls"
STATE = {"problems": worker.readiness_problems, "degradations": worker.degradations}
urlpatterns = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, STATE, name="readyz"),
    path("metrics", probes.prometheus, {"update": worker.update_metrics, **STATE}, name="metrics"),
    path(".well-known/security.txt", well_known.security_txt, name="security_txt"),
    path("", include("conversations.urls")),
    # Not all of "allauth.urls": pages that connect other accounts to one's own are not offered.
    path("accounts/", include(accounts)),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/", include("conversations.accounts.urls")),
    path("accounts/entra/", include("conversations.accounts.entra.urls")),
    path("accounts/oidc/", include("conversations.accounts.oidc.urls")),
    path("admin/", admin.site.urls),
]
if settings.LOCAL_ACCOUNTS:
    # Where password managers find the page (W3C, "A Well-Known URL for Changing Passwords").
    change_password = RedirectView.as_view(pattern_name="account_change_password")
    urlpatterns.append(path(".well-known/change-password", change_password))
