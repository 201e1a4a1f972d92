"""All CPE templates by name, read from their files; all that is wrong with any of them is found at once."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable

from acs.errors import TemplatesInvalid, TemplateUnknown
from acs.templates.reading import read_template
from acs.templates.rendering import Template


class TemplateLibrary:
    """All templates by name.

    ``TemplateLibrary.load()`` reads those that come with Firstlight; folders given come after and may replace one by
    the same name.
    """

    def __init__(self, templates: Iterable[Template]) -> None:
        self._templates = {template.name: template for template in templates}

    @classmethod
    def load(cls, *folders: Traversable) -> TemplateLibrary:
        """Read and check every ``*.toml``. Raises: TemplatesInvalid, with the faults of all files."""
        faults: list[str] = []
        templates: list[Template] = []
        for folder in (files("acs") / "cpe_templates", *folders):
            for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
                if file.name.endswith(".toml"):
                    template, wrong = read_template(file.name.removesuffix(".toml"), file.read_bytes())
                    faults += wrong
                    templates += [template] if template is not None else []
        if faults:
            raise TemplatesInvalid(faults)
        return cls(templates)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._templates))

    def get(self, name: str) -> Template:
        """Raises: TemplateUnknown."""
        if name not in self._templates:
            raise TemplateUnknown(name, self._templates)
        return self._templates[name]
