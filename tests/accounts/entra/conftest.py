import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.accounts.entra.tenant import Tenant
from tests.accounts.entra.visitor import Visitor, write
from tests.site import Person, Site


@pytest.fixture(scope="package")
def joined(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Tenant]]:
    """A site with a tenant, where people with an address of the domain can also sign up."""
    tenant = Tenant()
    database = tmp_path_factory.mktemp("entra") / "db.sqlite3"
    shutil.copy(database_template, database)
    site = Site(f"sqlite:///{database}", SIGNUP="domain:example.org", LOG_FORMAT="json", **tenant.variables)
    yield site, tenant
    site.kill()
    tenant.close()


@pytest.fixture
def tenant(joined: tuple[Site, Tenant]) -> Tenant:
    """The tenant, where a person who is new to the site signs in next."""
    joined[1].reset()
    joined[1].person["oid"] = str(uuid.uuid4())
    return joined[1]


@pytest.fixture
def entra(joined: tuple[Site, Tenant], tenant: Tenant) -> Site:
    return joined[0]


@pytest.fixture
def visitor(entra: Site) -> Iterator[Visitor]:
    with Visitor(entra) as visitor:
        yield visitor


@pytest.fixture
def local(entra: Site, join: Callable[..., Person]) -> Person:
    """A person with a local account and a confirmed email address."""
    person = join(entra)
    write(entra, "update account_emailaddress set verified = 1 where email = ?", f"{person.name}@example.org")
    return person
