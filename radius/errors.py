"""Everything that can go wrong in ``radius``, in one tree.

::

    RadiusError
    |-- EncodingRefused               it may not go into a FreeRADIUS table
    |   |-- AttributeUnknown          no such attribute in our table of facts, or not for that table
    |   |-- ValueRefused              FreeRADIUS would expand, mangle or refuse the value
    |   |-- UsernameRefused           FreeRADIUS would never find a row of that name
    |   |-- AddressConflict           an address and a pool
    |   `-- SeveralRefused              more than one of these at once
    |-- SubscriberError
    |   |-- SubscriberUnknown
    |   |   `-- SubscriberRenamed     nobody has the name any more, and who had it has another one
    |   |-- UsernameTaken             the name belongs to somebody else, now or before
    |   |-- IllegalMove               the subscriber's state does not allow it
    |   |-- SubscriberTerminated      nothing is done to one that has ended
    |   |-- SessionChangeUnknown
    |   |-- ExternalIdTaken           these three in ``radius.verb_errors``
    |   |-- LineRefused               no subscriber can be bound to such a line
    |   |-- LineTaken                 it logs in for another subscriber
    |   `-- TestingWindowOver         the end of the test lies in the past
    |-- PlanError                     this branch stands in ``radius.plan_errors``
    |   |-- PlanUnknown
    |   |-- PlanRefused               a number of the plan cannot be meant
    |   |-- RateNotExpressible        a NAS dialect in use has no word for such a rate
    |   |-- TermsNotExpressible       ... or for something else that the plan says
    |   |-- SeveralNotExpressible     more than one of these at once
    |   |-- GardenUnfit               a walled garden of another access; these three in ``radius.verb_errors``
    |   |-- NoDataCap                 there is nothing to lift
    |   `-- AccessUnfit               a line logs in on a plan for IPoE alone
    |-- NasError                      this branch stands in ``radius.nas_errors``
    |   |-- NasRefused                a value of the NAS cannot be meant
    |   |-- NasUnknown
    |   |-- NothingToAdopt            FreeRADIUS has no NAS there that could be taken over as it is
    |   |-- NasNameTaken              there is another NAS of that name
    |   |-- NasAddressTaken           the address belongs to another NAS
    |   |-- NasNotSilent              its sessions are not closed by hand
    |   |-- NasSessionsOpen           under the address that it is to have no longer
    |   |-- NoNasTellsOfLines         a line that logs in by itself would be let in nowhere
    |   |-- NasLinesInUse             no NAS would tell of the lines by which subscribers log in
    |   `-- DialectUnknown
    |-- LoginFolderUnusable           (transient) files in which FreeRADIUS writes logins can't be carried
    |-- PasswordStorageRefused        subscribers of a NAS could not log in with passwords that are kept like that
    |-- SessionsStillOpen             somebody who may not be online any more still is               (transient)
    |-- LookRefused                   what is asked about sessions cannot be meant
    |-- RequestRefused                a number or an id of the request cannot be kept
    |-- RequestConflict               a request id came again with other input
    |-- ImportUnreadable              no list of subscribers (both stand in ``radius.importing.errors``)
    |-- ImportRefused                 lines of a list of subscribers are wrong
    `-- ProjectionError               this branch stands in ``radius.projection_errors``
        |-- ForeignRows               rows of that name are there and not ours
        |-- ProjectionRaced           the wish changed faster than it could be carried out   (transient)
        |-- RadiusDatabaseUnavailable                                                        (transient)
        `-- RadiusDatabaseUnfit       the database answers, but lacks a table or a permission

``radius.testing`` adds its own branch. ``transient`` says whether the same call may succeed later without anybody
changing anything. No error ever carries a password or a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class RadiusError(Exception):
    """The RADIUS side of the work failed."""

    code: ClassVar[str] = "radius.error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class EncodingRefused(RadiusError):
    """This may not be written into a FreeRADIUS table."""

    code = "radius.encoding_refused"


class AttributeUnknown(EncodingRefused):
    """No such attribute is known for that table."""

    code = "radius.attribute_unknown"

    def __init__(self, attribute: str, place: str) -> None:
        self.attribute = attribute
        self.place = place
        super().__init__(f"Attribute {attribute[:80]!r} is not known as a {place} attribute; nothing was written.")


class ValueRefused(EncodingRefused):
    """FreeRADIUS would expand, mangle or refuse the value."""

    code = "radius.value_refused"

    def __init__(self, attribute: str, reason: str) -> None:
        self.attribute = attribute
        self.reason = reason
        super().__init__(f"The value for {attribute} was refused: {reason}. Nothing was written.")


class UsernameRefused(EncodingRefused):
    """FreeRADIUS would never find a subscriber of that name."""

    code = "radius.username_refused"

    def __init__(self, username: str) -> None:
        self.username = username[:160]
        super().__init__(
            f"{self.username!r} cannot be a RADIUS username: 1 to 128 of A-Z a-z 0-9 @ . _ : / - are allowed,"
            " because FreeRADIUS rewrites any other character before it looks the name up."
        )


class AddressConflict(EncodingRefused):
    """A reply never carries both an address and a pool."""

    code = "radius.address_conflict"

    def __init__(self, username: str, attributes: Iterable[str]) -> None:
        self.username = username
        self.attributes = tuple(attributes)
        super().__init__(
            f"{username} would get both {' and '.join(self.attributes)}: a NAS obeys one of them, and which one differs"
            " by vendor. Give an address or a pool."
        )


class SeveralRefused(EncodingRefused):
    """Several attributes cannot be written."""

    code = "radius.several_refused"

    def __init__(self, refused: Iterable[EncodingRefused]) -> None:
        self.refused = tuple(refused)
        self.faults = tuple(str(one) for one in self.refused)
        super().__init__(" ".join(self.faults))


class SubscriberError(RadiusError):
    """The subscriber does not allow it."""

    code = "radius.subscriber_error"


class SubscriberUnknown(SubscriberError):
    """There is no such subscriber."""

    code = "radius.subscriber_unknown"

    def __init__(self, who: int | str) -> None:
        self.who = who
        super().__init__(f"There is no RADIUS subscriber {who}.")


class SubscriberRenamed(SubscriberUnknown):
    """Nobody has this name any more; the subscriber that had it has another one."""

    code = "radius.subscriber_renamed"

    def __init__(self, former: str, present: str) -> None:
        self.present = present
        super().__init__(former)
        self.args = (f"There is no RADIUS subscriber {former} any more: it was renamed, and is {present} now.",)


class UsernameTaken(SubscriberError):
    """The username belongs to somebody else."""

    code = "radius.username_taken"

    def __init__(self, username: str, *, customer_id: int, owner: int | None, state: str | None) -> None:
        self.username = username
        self.customer_id = customer_id
        self.owner_customer_id = owner
        self.owner_state = state
        if owner is None:
            whose = "it belongs to another ISP of this server"
        elif state == "terminated":
            whose = f"it was customer {owner}'s, whose sessions stay in the accounting under that name"
        elif state == "renamed":
            whose = f"it was customer {owner}'s until a rename, and that subscriber may still be online under it"
        else:
            whose = f"it belongs to a subscriber of customer {owner} ({state})"
        is_own = owner == customer_id and state not in ("terminated", "renamed")
        act = (
            "It is there already, otherwise made: change it, or choose another one."
            if is_own
            else "Choose another one."
        )
        super().__init__(f"Username {username} cannot be given to customer {customer_id}: {whose}. {act}")


class IllegalMove(SubscriberError):
    """The subscriber's state does not allow it."""

    code = "radius.illegal_move"

    def __init__(self, subscriber_id: int, username: str, *, state: str, wanted: str, says: str = "") -> None:
        """``says`` is the act in words, where it is not to become something else."""
        self.subscriber_id = subscriber_id
        self.username = username
        self.state = state
        self.wanted = wanted
        super().__init__(f"Subscriber {username} is {state} and {says or f'cannot become {wanted}'}.")


class TestingWindowOver(SubscriberError):
    """The end of a test must lie in the future."""

    code = "radius.testing_window_over"

    __test__ = False  # pytest, which collects what begins with "Test", must leave it alone

    def __init__(self, username: str, until: str) -> None:
        self.username = username
        self.until = until
        super().__init__(f"The test of {username} cannot end at {until}, which is over. Give a time to come.")


class SubscriberTerminated(SubscriberError):
    """The subscriber has ended."""

    code = "radius.subscriber_terminated"

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"{username} is terminated, so nothing was changed.")


class SessionChangeUnknown(SubscriberError):
    """There is no such change of sessions."""

    code = "radius.session_change_unknown"

    def __init__(self, change_id: int) -> None:
        self.change_id = change_id
        super().__init__(f"There is no change of sessions {change_id}.")


class PasswordStorageRefused(RadiusError):
    """Passwords cannot be kept like that."""

    code = "radius.password_storage_refused"

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"Passwords cannot be kept like that: {'; '.join(self.faults)}.")


class SessionsStillOpen(RadiusError):
    """A session is still open."""

    code = "radius.sessions_still_open"
    transient = True

    def __init__(self, username: str, sessions: Iterable[str]) -> None:
        self.username = username
        super().__init__(
            f"{username} is still online: {'; '.join(sessions)}. It ends with its line, its Session-Timeout, or by hand"
            " at the NAS; accounting is looked at again, and the NAS asked again."
        )


class LookRefused(RadiusError):
    """What is asked about sessions cannot be meant."""

    code = "radius.look_refused"

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"What is asked about sessions cannot be meant: {'; '.join(self.faults)}.")


class RequestRefused(RadiusError):
    """A number or an id of the request cannot be kept."""

    code = "radius.request_refused"

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"The subscriber asked for cannot be meant: {'; '.join(self.faults)}. Nothing was written.")


class RequestConflict(RadiusError):
    """The same request id came with other input."""

    code = "radius.request_conflict"

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"Request {request_id!r} was made before with other input; nothing was changed.")


class LoginFolderUnusable(RadiusError):
    """Files in which FreeRADIUS writes logins can't be read, or not be taken away."""

    code = "radius.login_folder_unusable"
    transient = True

    def __init__(self, folder: Path, error: OSError) -> None:
        self.folder = folder
        may_not = isinstance(error, PermissionError)
        whose = ": it has to be FreeRADIUS' own user" if may_not else ""
        super().__init__(
            f"{error.filename or folder}: {error.strerror}. Logins wait in {folder} until whoever carries them can read"
            f" and write there{whose}."
        )
