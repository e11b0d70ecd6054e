from django.contrib import admin
from django.urls import include, path

from chatsite import probes
from conversations.generation import worker

urlpatterns = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, {"problems": worker.readiness_problems}, name="readyz"),
    path("metrics", probes.prometheus, {"update": worker.update_metrics}, name="metrics"),
    path("", include("conversations.urls")),
    # Not all of "allauth.urls": pages that connect other accounts to one's own are not offered.
    path("accounts/", include("allauth.account.urls")),
    path("accounts/entra/", include("conversations.accounts.entra.urls")),
    path("admin/", admin.site.urls),
]
