"""The lab's mail server: what it keeps can be counted, also after a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from provisioning.commercial.mails.smtp import Letter, hand_over
from provisioning.commercial.testing import MailSink, Quirk

SENDER = "noreply@isp.example"


def letter(message_id: str) -> Letter:
    return Letter(
        message_id, "ada@example.com", "Grüße", "text\n.\n..end\n", "<p>x</p>", datetime(2026, 3, 2, tzinfo=UTC)
    )


async def test_mails_are_numbered_files_that_outlive_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    for message_id in ("<1@isp.example>", "<2@isp.example>"):
        async with MailSink(folder) as sink:
            await hand_over(letter(message_id), sink.settings(SENDER))
    async with MailSink(folder) as sink:
        await hand_over(letter("<1@isp.example>"), sink.settings(SENDER))
        assert sink.copies() == {"<1@isp.example>": 2, "<2@isp.example>": 1}
        assert [mail.path.name for mail in sink.mails()] == ["000001.eml", "000002.eml", "000003.eml"]


async def test_a_mail_is_kept_letter_for_letter(sink: MailSink) -> None:
    await hand_over(letter("<1@isp.example>"), sink.settings(SENDER))
    (kept,) = sink.mails()
    assert kept.message["Subject"] == "Grüße"
    assert kept.body("plain") == "text\n.\n..end\n"
    assert kept.body("html") == "<p>x</p>\n"


async def test_each_quirk_meets_one_mail(sink: MailSink) -> None:
    sink.misbehave(Quirk.REFUSE_RECIPIENT, Quirk.DEFER_CONTENT)
    codes = [(await hand_over(letter("<1@isp.example>"), sink.settings(SENDER))).reply_code for _ in range(3)]
    assert codes == [550, 451, 250]
    assert len(sink.mails()) == 1
