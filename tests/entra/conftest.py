import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.entra.visitor import Visitor, write
from tests.site import Person, Site
from tests.tenant import Tenant


@pytest.fixture(scope="package")
def joined(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Tenant]]:
    """A site where others sign up with a mailbox, and its tenant."""
    tenant = Tenant()
    database = tmp_path_factory.mktemp("entra") / "db.sqlite3"
    shutil.copy(database_template, database)
    site = Site(f"sqlite:///{database}", SIGNUP="domain:example.org", LOG_FORMAT="json", **tenant.variables)
    yield site, tenant
    site.kill()
    tenant.close()


@pytest.fixture
def tenant(joined: tuple[Site, Tenant]) -> Tenant:
    """The tenant, in which somebody whom the site does not know signs in."""
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
    """Somebody with an account of the site's own, and an address that is known to be theirs."""
    person = join(entra)
    write(entra, "update account_emailaddress set verified = 1 where email = ?", f"{person.name}@example.org")
    return person
