"""What is refused of teams and notices. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.errors import ProvisioningError


class TeamError(ProvisioningError):
    """This team can't be reached like that."""

    code = "team.error"


class TeamUnknown(TeamError):
    """No such team."""

    code = "team.unknown"

    def __init__(self, team: str, known: Sequence[str]) -> None:
        self.team = team
        self.known = tuple(known)
        super().__init__(f"There is no team {team}; {_there_are(known)}. Teams stand in the estate file.")


class ChannelUnknown(TeamError):
    """The team has no such channel."""

    code = "team.channel_unknown"

    def __init__(self, team: str, channel: str, known: Sequence[str]) -> None:
        self.team = team
        self.channel = channel
        self.known = tuple(known)
        super().__init__(
            f"Team {team} has no channel {channel}; {_there_are(known)}. A team's channels stand in the estate file."
        )


class NoticeError(ProvisioningError):
    """The notice can't be treated like that."""

    code = "notice.error"

    def __init__(self, notice_id: int, message: str) -> None:
        self.notice_id = notice_id
        super().__init__(message)


class NoticeUnknown(NoticeError):
    """No such notice."""

    code = "notice.unknown"

    def __init__(self, notice_id: int) -> None:
        super().__init__(notice_id, f"There is no notice {notice_id}.")


class NoticeWithdrawn(NoticeError):
    """The notice was withdrawn before it was sent."""

    code = "notice.withdrawn"

    def __init__(self, notice_id: int) -> None:
        super().__init__(notice_id, f"Notice {notice_id} was withdrawn and isn't sent.")


class NoticeSent(NoticeError):
    """The notice has been sent."""

    code = "notice.sent"

    def __init__(self, notice_id: int, team: str) -> None:
        super().__init__(
            notice_id, f"Notice {notice_id} is with team {team} already; queue a new one to tell it again."
        )


def _there_are(known: Sequence[str]) -> str:
    return f"there are: {', '.join(known)}" if known else "there are none"
