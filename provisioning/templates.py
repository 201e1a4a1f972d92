"""How pages for customers and mails are made from templates, of this release or of an ISP's own folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment


def templates_in(folder: Path, *, finalize: Callable[[object], object] | None = None) -> ImmutableSandboxedEnvironment:
    """What a template is not given it can't name, what ``*.html.j2`` is given is escaped, and nothing is called that
    changes what it is given. ``finalize`` sees each value before it is written.
    """
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
