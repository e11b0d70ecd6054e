from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("conversations.urls")),
    # Not all of "allauth.urls": pages that tie another account to one's own are doors nobody should find open.
    path("accounts/", include("allauth.account.urls")),
    path("accounts/entra/", include("conversations.accounts.entra.urls")),
    path("admin/", admin.site.urls),
]
