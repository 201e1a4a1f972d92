"""Every shipped mail as its sample renders it, in every language: what tests compare and `make mails` writes anew."""

from __future__ import annotations

from pathlib import Path

from provisioning.commercial import MailPreview, MailTemplates, RenderedMail

FOLDER = Path(__file__).parents[1] / "provisioning" / "commercial" / "mails" / "golden"
TEMPLATES = MailTemplates(isp_name="Northern Fibre", time_zone="Europe/Berlin")
NAMES = TEMPLATES.names()
LANGUAGES = TEMPLATES.languages()


def sample(name: str, language: str) -> RenderedMail:
    """The mail of the sample."""
    return MailPreview(TEMPLATES).preview(name, language=language)


def golden(name: str, language: str) -> Path:
    """Where its text is kept."""
    return FOLDER / f"{name}.{language}.txt"


def as_kept(mail: RenderedMail) -> str:
    return f"Subject: {mail.subject}\n\n{mail.text}"


def renew() -> None:
    """Writes all of them."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        file.unlink()
    for name in NAMES:
        for language in LANGUAGES:
            golden(name, language).write_text(as_kept(sample(name, language)), encoding="utf-8")


if __name__ == "__main__":
    renew()
