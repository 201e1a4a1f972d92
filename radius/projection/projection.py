"""From what we want to the rows FreeRADIUS reads: pure functions, the same rows every time.

A subscriber's *state* lives in radcheck alone. A refused one (pending, suspended) has ``Auth-Type := Reject`` there and
no password, so it is refused twice over; its address and its plan stay where they are. FreeRADIUS may read its tables
one after the other (where a login is more than one question), so while a state changes it may see the old radcheck with
the new radreply: thanks to this the subscriber is then either refused or served with its own address and rate.

A suspended one with a garden is let in as a member of that plan's group in place of its own plan's. A garden that has
a pool gives addresses itself, so the line's own are withheld then; else it keeps them, and what its plan says of
addressing (``radius.plans.gardens``): for each piece of that a plan has a group, which FreeRADIUS reads before the
garden's.

Where it is bound to a line, radcheck says to which. One that its line logs in for has no password there, so that no
other login can come in under its name, and a row in ``radius_line`` for each User-Name that its line may send.

A terminated one has no rows at all. They go in two commits, first the password (``refused_first``) and then the rest,
so what FreeRADIUS reads in between is a refusal. A login whose reading began before the first commit and ended after
the second has a password and nothing else: the server itself rejects it, since it lets nobody in without a rate
(``no_login_without_a_rate`` in ``deploy/freeradius/raddb/policies.conf``).

A plan is a group: ``<tenant>/<plan>`` holds what every NAS understands, ``<tenant>/<plan>:<dialect>`` what is said to
the NASes of one vendor. Which of those a login gets is FreeRADIUS' doing: it knows who asks.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from radius.attributes import MAX_INTEGER, fact_of, is_secret
from radius.dialects import DIALECTS, Dialect
from radius.encoder import EncodedAttribute, Value, encode, encode_reply, safe_username
from radius.errors import ValueRefused
from radius.plan_errors import RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.gardens import kept_pieces, only, pieces_of, withholds_addresses
from radius.plans.terms import PlanTerms, terms_of
from radius.plans.wording import common_words, words_of
from radius.states import State, refuses_logins
from radius.subscribers.line_identity import line_checks, line_of, lines_that_log_in
from radius.subscribers.password_hashes import opened
from radius.subscribers.password_storage import PasswordStorage, kept
from radius.tables import Nas, Plan, Subscriber

HOST_NETMASK = "255.255.255.255"
"""A PPPoE line gets one address; any other mask would make the NAS route a whole network to it (RFC 2865 s5.9)."""

_REFUSALS: dict[State, str] = {
    "pending": "This line is not in service yet.",
    "suspended": "This service is suspended.",
}


@dataclass(frozen=True, order=True, repr=False)
class Row:
    """One row of a FreeRADIUS table without its id. Passwords and secrets don't show in its repr."""

    table: str
    owner: str
    columns: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        values = dict(self.columns)
        hidden = {"secret"} | ({"value"} if is_secret(values.get("attribute", "")) else set())
        shown = ", ".join(f"{name}={'***' if name in hidden else repr(value)}" for name, value in self.columns)
        return f"Row({self.table} of {self.owner}: {shown})"


@dataclass(frozen=True)
class FramedAddresses:
    """What a subscriber's line is given. An IPv4 address or the name of a pool at the BNG, never both; prefixes as
    text.

    ``ipv6_wan_prefix`` is the line's own (RFC 3162), ``delegated_prefix`` the one behind the CPE (RFC 4818). ``routes``
    and ``ipv6_routes`` are what is routed to the line besides: prefix, gateway (0.0.0.0 or :: is the line's own
    address) and metric (RFC 2865 s5.22, RFC 3162 s2.5).
    """

    ipv4: str | None = None
    ipv4_pool: str | None = None
    ipv6_wan_prefix: str | None = None
    delegated_prefix: str | None = None
    routes: tuple[str, ...] = ()
    ipv6_routes: tuple[str, ...] = ()


def plan_group(tenant_id: str, plan: str, dialect: str | None = None, *, piece: str | None = None) -> str:
    """The group that stands for a plan or for a ``piece`` of its addressing, or for what one dialect says of that."""
    return ":".join(each for each in (f"{tenant_id}/{plan}", piece, dialect) if each)


def address_attributes(username: str, addresses: FramedAddresses) -> tuple[EncodedAttribute, ...]:
    """The reply attributes of a line's addresses.

    Raises:
        ValueRefused, AddressConflict: see ``radius.encoder``.
    """
    items: list[tuple[str, Value]] = []
    if addresses.ipv4 is not None:
        items += [("Framed-IP-Address", addresses.ipv4), ("Framed-IP-Netmask", HOST_NETMASK)]
    for attribute, value in (
        ("Framed-Pool", addresses.ipv4_pool),
        ("Framed-IPv6-Prefix", addresses.ipv6_wan_prefix),
        ("Delegated-IPv6-Prefix", addresses.delegated_prefix),
    ):
        if value is not None:
            items.append((attribute, value))
    items += [("Framed-Route", route) for route in addresses.routes]
    items += [("Framed-IPv6-Route", route) for route in addresses.ipv6_routes]
    return encode_reply(username, items)


def checked_addresses(username: str, addresses: FramedAddresses) -> FramedAddresses:
    """The same addresses in their one spelling (``2001:DB8::/56`` is ``2001:db8::/56``).

    Raises:
        ValueRefused, AddressConflict: see ``radius.encoder``.
    """
    encoded = address_attributes(username, addresses)
    values = {item.attribute: item.value for item in encoded}
    return FramedAddresses(
        ipv4=values.get("Framed-IP-Address"),
        ipv4_pool=values.get("Framed-Pool"),
        ipv6_wan_prefix=values.get("Framed-IPv6-Prefix"),
        delegated_prefix=values.get("Delegated-IPv6-Prefix"),
        routes=tuple(item.value for item in encoded if item.attribute == "Framed-Route"),
        ipv6_routes=tuple(item.value for item in encoded if item.attribute == "Framed-IPv6-Route"),
    )


def addresses_of(subscriber: Subscriber) -> FramedAddresses:
    """What the subscriber's line is given."""
    return FramedAddresses(
        ipv4=subscriber.framed_ipv4,
        ipv4_pool=subscriber.framed_pool,
        ipv6_wan_prefix=subscriber.ipv6_wan_prefix,
        delegated_prefix=subscriber.delegated_prefix,
        routes=tuple(subscriber.framed_routes.splitlines()),
        ipv6_routes=tuple(subscriber.framed_ipv6_routes.splitlines()),
    )


def service_class(subscriber: Subscriber) -> str:
    """What the NAS repeats in every accounting packet of a session (RFC 2865 s5.25): whose it is, whatever the
    subscriber's name, plan or address is by then.
    """
    return class_label(subscriber.id, subscriber.service_id)


def class_label(subscriber_id: int, service_id: int | None) -> str:
    """The same of one by its numbers."""
    return f"subscriber-{subscriber_id}" if service_id is None else f"service-{service_id}"


def rows_for(
    subscriber: Subscriber,
    plan: Plan,
    password: str | None,
    storage: PasswordStorage = "cleartext",
    *,
    garden: Plan | None = None,
) -> tuple[Row, ...]:
    """All rows of one subscriber. ``password`` is needed where it may log in (testing, active, in a
    ``garden``); FreeRADIUS keeps it as ``storage`` says. Where only a hash of it is known, it is that.

    Raises:
        EncodingRefused: something in it would not reach the NAS as it is.
    """
    username = safe_username(subscriber.username)
    if subscriber.state == "terminated":
        return ()
    refused = is_refused(subscriber)
    checks = _refusal(username) if refused else _check_rows(subscriber, password, storage)
    rows = [*checks, *_reply_rows(subscriber, garden)]
    if subscriber.login_by_line:
        rows += [Row("radius_line", username, (("line", line),)) for line in lines_that_log_in(line_of(subscriber))]
    for priority, group in enumerate(_groups(plan, garden)):
        rows.append(Row("radusergroup", username, (("groupname", group), ("priority", str(priority)))))
    return tuple(sorted(rows))


def is_refused(subscriber: Subscriber) -> bool:
    """True when FreeRADIUS rejects every login of it."""
    return refuses_logins(subscriber.state, subscriber.garden_plan_id)


def refused_first(username: str, rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows a subscriber has, with every login refused: what stands there just before all of them go away."""
    refusal = _attribute_row("radcheck", username, encode("Auth-Type", "Reject", place="check"), ":=")
    return tuple(sorted([refusal, *(row for row in rows if row.table != "radcheck")]))


def plan_rows(plan: Plan) -> tuple[Row, ...]:
    """All rows of one plan: its own group, and one group for each dialect that can say it; the same of each piece of
    its addressing."""
    terms = terms_of(plan)
    group = plan_group(plan.tenant_id, plan.name)
    rows = [*_group_rows(group, common_words(plan.name, terms)), *_rows_of_second_login(group, terms)]
    for dialect in _who_can_say(plan.name, terms):
        words = words_of(dialect, plan.name, terms)
        rows += _group_rows(plan_group(plan.tenant_id, plan.name, dialect.name), words)
    for piece in pieces_of(terms):
        rows += _piece_rows(plan, terms, piece)
    return tuple(sorted(rows))


def _piece_rows(plan: Plan, terms: PlanTerms, piece: str) -> Iterator[Row]:
    bare, said = only(terms), only(terms, piece)
    common = set(common_words(plan.name, said)) - set(common_words(plan.name, bare))
    # or FreeRADIUS would not read the garden's group behind it
    goes_on = encode("Fall-Through", "Yes", place="reply")
    yield from _group_rows(plan_group(plan.tenant_id, plan.name, piece=piece), [*common, goes_on])
    kept_out = terms.where_untold == "refuse_login"
    for dialect in DIALECTS.values() if kept_out else _who_can_say(plan.name, terms):
        try:
            words = set(words_of(dialect, plan.name, said)) - set(words_of(dialect, plan.name, bare))
        except (RateNotExpressible, TermsNotExpressible, SeveralNotExpressible):
            # the garden's rate would let the line in, without this piece
            words = {encode("Firstlight-Untold", piece, place="reply")}
        yield from _group_rows(plan_group(plan.tenant_id, plan.name, dialect.name, piece=piece), words)


def _who_can_say(plan: str, terms: PlanTerms) -> Iterator[Dialect]:
    """A NAS of another dialect finds no rate, so that nobody of this plan is let in there: either there is none, as a
    pair that does not go together is refused, or the plan wants just that (``where_untold``)."""
    for dialect in DIALECTS.values():
        try:
            words_of(dialect, plan, terms)
        except (RateNotExpressible, TermsNotExpressible, SeveralNotExpressible):
            continue
        yield dialect


TELLS_OF_LINES = "lines"
"""What stands as the community of such a NAS, where SNMP's would: ``line_query`` of
``deploy/freeradius/raddb/sql/queries.conf`` asks for it."""


def nas_rows(nas: Nas, secret: str) -> tuple[Row, ...]:
    """The row by which FreeRADIUS knows a NAS."""
    columns = (
        ("shortname", nas.name),
        ("type", nas.dialect),
        ("secret", secret),
        ("community", TELLS_OF_LINES if nas.lines else ""),
        ("description", f"Firstlight {nas.tenant_id}/{nas.name}{_called(nas)}"),
    )
    return (Row("nas", nas.address, columns),)


CALLS_ITSELF = " calls itself "
"""Behind it stands in the description of a NAS by which other addresses it calls itself."""


def _called(nas: Nas) -> str:
    """As the raddb looks for it (policies.conf, nas_as_known)."""
    return f"{CALLS_ITSELF}{nas.calls_itself}" if nas.calls_itself else ""


def is_marked_as_anothers(description: str, tenant_id: str) -> bool:
    """Whether that of a NAS' row (``nas_rows``) is one of another tenant."""
    return re.match("Firstlight [^/]+/", description) is not None and not description.startswith(
        f"Firstlight {tenant_id}/"
    )


def digest(rows: Iterable[Row]) -> str:
    """One value for a whole set of rows: every column of every row counts, their order doesn't."""
    ordered = [[row.table, row.owner, *row.columns] for row in sorted(rows)]
    return hashlib.sha256(json.dumps(ordered, separators=(",", ":")).encode()).hexdigest()


def _groups(plan: Plan, garden: Plan | None) -> Iterator[str]:
    """In the order in which FreeRADIUS reads them."""
    if garden is not None:
        for piece in kept_pieces(terms_of(plan), terms_of(garden)):
            yield plan_group(plan.tenant_id, plan.name, piece=piece)
    member = garden or plan
    yield plan_group(member.tenant_id, member.name)


def _refusal(username: str) -> Iterator[Row]:
    yield _attribute_row("radcheck", username, encode("Auth-Type", "Reject", place="check"), ":=")


def _check_rows(subscriber: Subscriber, password: str | None, storage: PasswordStorage) -> Iterator[Row]:
    for item in line_checks(line_of(subscriber)):
        yield _attribute_row("radcheck", subscriber.username, item, ":=")
    if subscriber.login_by_line:
        yield _attribute_row(
            "radcheck", subscriber.username, encode("Firstlight-Login", "By-Line", place="check"), ":="
        )
    else:
        yield _password_row(subscriber, password, storage)
    if subscriber.testing_until is not None:
        item = encode("Expiration", subscriber.testing_until, place="check")
        yield _attribute_row("radcheck", subscriber.username, item, ":=")


def _password_row(subscriber: Subscriber, password: str | None, storage: PasswordStorage) -> Row:
    if password is None:
        raise ValueRefused("Cleartext-Password", f"{subscriber.username} has none")
    if subscriber.password_hash_kind is not None:  # what was sealed is that hash, whatever the estate keeps by now
        known = opened(subscriber.password_hash_kind, password)
        item = encode(known.attribute, known.octets, place="check")
        return _attribute_row("radcheck", subscriber.username, item, ":=")
    # what the table could not carry in clear is refused however it is kept, so that the storage may change later
    encode("Cleartext-Password", password, place="check")
    attribute, value = kept(password, storage, whose=f"{subscriber.tenant_id}/{subscriber.id}")
    return _attribute_row("radcheck", subscriber.username, encode(attribute, value, place="check"), ":=")


def _reply_rows(subscriber: Subscriber, garden: Plan | None) -> Iterator[Row]:
    withheld = garden is not None and withholds_addresses(terms_of(garden))
    addresses = FramedAddresses() if withheld else addresses_of(subscriber)
    items = list(address_attributes(subscriber.username, addresses))
    items.append(encode("Class", service_class(subscriber), place="reply"))
    if is_refused(subscriber):
        items.append(encode("Reply-Message", _REFUSALS[subscriber.state], place="reply"))
    for item in items:
        # := wins over what a group says of the same attribute, and over an earlier row of the same owner
        yield _attribute_row("radreply", subscriber.username, item, "+=" if _many(item) else ":=")


def _group_rows(group: str, items: Iterable[EncodedAttribute]) -> Iterator[Row]:
    for item in items:
        # = adds only what the subscriber's own rows have not set
        yield _attribute_row("radgroupreply", group, item, "+=" if _many(item) else "=")


def _rows_of_second_login(group: str, terms: PlanTerms) -> Iterator[Row]:
    """Nothing is said of what a NAS and a server do by themselves. Nobody is a member of the group that says *allow*:
    accounting asks for it by its name (``replace_query`` in ``deploy/freeradius/raddb/sql/queries.conf``).
    """
    owner = {"reject": group, "allow": f"{group}:second-login"}.get(terms.second_login)
    if owner is not None:
        most = 1 if terms.second_login == "reject" else MAX_INTEGER
        yield _attribute_row("radgroupcheck", owner, encode("Simultaneous-Use", most, place="check"), ":=")


def _many(item: EncodedAttribute) -> bool:
    fact = fact_of(item.attribute)
    return fact is not None and fact.many


def _attribute_row(table: str, owner: str, item: EncodedAttribute, op: str) -> Row:
    return Row(table, owner, (("attribute", item.attribute), ("op", op), ("value", item.value)))
