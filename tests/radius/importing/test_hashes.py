"""Passwords of which another FreeRADIUS has a hash alone: taken over as they are, by logins at the real FreeRADIUS."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from radius import PasswordStorage, PasswordStorageRefused, SubscriberVerbs
from radius.subscribers.md4 import md4
from radius.subscribers.password_hashes import headed, in_clear, read_hash
from radius.subscribers.password_storage import CHECKABLE, LOGIN_METHODS
from radius.tables import password_hash_ref_of
from tests.radius.conftest import PLAN, Site
from tests.radius.importing.test_importing import brought_in, checked, lines_of, subscribers
from tests.radius.subscribers.test_password_storage import Logins

COLUMNS = "username,customer_id,plan,password,password_hash\n"
NT = md4("clientPass".encode("utf-16-le")).hex()  # RFC 2759 section 9.2
SALTED = hashlib.sha512(b"clientPass" + b"salt").digest() + b"salt"


async def keep_as(site: Site, storage: PasswordStorage) -> None:
    async with site.database.begin() as db:
        await site.service(db).define_password_storage(storage=storage)


async def only_hashed(site: Site) -> list[str]:
    async with site.database.read() as db:
        return [each["username"] for each in await site.service(db).subscribers(only_hash=True)]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("storage", "said"),
    [("nt", f"{{NT-Password}}0x{NT}"), ("ssha2-512", "{SSHA512}" + base64.b64encode(SALTED).decode())],
    ids=["nt", "ssha2-512"],
)
async def test_a_hash_that_the_estate_keeps_lets_its_subscriber_in_until_the_password_is_rotated(
    site: Site, storage: PasswordStorage, said: str, tmp_path: Path
) -> None:
    await keep_as(site, storage)
    name = site.new_username()
    lines = lines_of(f"{name},7,{PLAN},,{said}\n", COLUMNS)
    assert await checked(site, lines) == {}
    assert await brought_in(site, lines) == (1, 0, 1, 0)
    logins = Logins(site, await site.nas(login_methods=sorted(CHECKABLE[storage])), tmp_path)

    assert await logins.accepted(name, "clientPass") == {
        method: method in CHECKABLE[storage] for method in LOGIN_METHODS
    }
    assert not any((await logins.accepted(name, "another")).values())
    assert await brought_in(site, lines) == (0, 1, 0, 0)
    assert await checked(site, lines_of(f"{name},7,{PLAN},clientPass,\n", COLUMNS)) == {}
    other = lines_of(f"{name},7,{PLAN},another,\n", COLUMNS)
    assert await checked(site, other) == {2: ["is here already, and not with this password"]}

    made = (await subscribers(site))[name]
    assert await only_hashed(site) == [name]
    assert not (await site.projector.project_subscriber(made.id))["changed"]
    with pytest.raises(PasswordStorageRefused) as refused:
        await keep_as(site, "cleartext")
    assert f"of 1 subscribers ({name}) only a hash of the password is known, kept as {storage}" in str(refused.value)
    async with site.database.begin() as db:
        verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=site.now, secrets=site.secrets)
        await verbs.rotate_password(subscriber_id=made.id)
        view = await site.service(db).subscriber(subscriber_id=made.id)
        password = await site.secrets.reveal(db, view["password"])
        left = await site.secrets.reveal_many(db, [password_hash_ref_of(made.id)])
    assert (view["password_hash_kind"], left) == (None, {})
    assert await only_hashed(site) == []
    await site.projector.project_subscriber(made.id)
    assert (await logins.accepted(name, "clientPass"))["pap"] is False
    assert (await logins.accepted(name, password))["pap"] is True
    await keep_as(site, "cleartext")


async def test_a_hash_of_another_kind_is_refused_with_what_it_is_and_what_can_be_done(site: Site) -> None:
    lines = lines_of(
        f"a@isp.example,7,{PLAN},,{{nt}}{NT}\n"
        f"b@isp.example,7,{PLAN},,{{crypt}}$6$x$y\n"
        f"c@isp.example,7,{PLAN},,{{nt}}{NT[:-1]}\n"
        f"d@isp.example,7,{PLAN},,{NT}\n"
        f"e@isp.example,7,{PLAN},clientPass,{{nt}}{NT}\n"
        f"f@isp.example,7,{PLAN},another,{{nt}}{NT}\n"
        f"g@isp.example,7,{PLAN},,{{ssha512}}{SALTED[:64].hex()}\n",
        COLUMNS,
    )
    instead = "say the password, or a new one, in its place"
    let = "password: only a hash of it is known ({}), and the estate keeps passwords as cleartext: let it keep them as"
    under = "(password_storage under [radius]; logins are by {} alone then), or " + instead
    crypt = "only a hash of it is known (Crypt-Password), which is none that can be kept (nt, ssha2-512): "

    found = await checked(site, lines)

    nt = f"{let.format('NT-Password')} nt {under.format('mschapv2, pap')}"
    assert found == {
        2: [nt],
        3: [f"password: {crypt}{instead}"],
        4: ["password_hash: an NT hash is 32 hexadecimal digits", nt],
        5: ["password_hash: it begins with no kind such as {nt} or {ssha512}"],
        7: [
            "password_hash: it (NT-Password) is not that of the password, which is there too: leave one of the two out"
        ],
        8: [
            "password_hash: a salted SHA-512 is 64 octets and its salt behind them, in hexadecimal or base64",
            f"{let.format('SSHA2-512-Password')} ssha2-512 {under.format('pap')}",
        ],
    }
    assert NT[:8] not in str(found)


def test_rows_of_radcheck_are_said_as_cells_that_are_read_as_the_same_hash() -> None:
    for attribute, value in (("NT-Password", NT.upper()), ("SSHA2-512-Password", "0x" + SALTED.hex())):
        found, wrong = read_hash(headed(attribute, value))
        assert found is not None
        assert (found.attribute, found.is_of("clientPass"), found.is_of("other"), wrong) == (attribute, True, False, [])
        again, _ = read_hash(headed("Password-With-Header", "{nthash}" + NT))
        assert again is not None
        assert again.kind == "nt"
    assert headed("LM-Password", "00") == "{LM-Password}00"
    assert (in_clear("Password-With-Header", "{clear}pw"), in_clear("Password-With-Header", "pw")) == ("pw", None)
