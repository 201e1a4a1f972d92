"""The console: the appliance's pages for its own people, a door beside the API and served by the same process.

It holds no rule of the business and no SQL: it reads and acts through the desks and services that the API and the
command line use, on the API's route machinery (one transaction a request, an audit entry a change). What differs is who
comes: people, who have signed in (``provisioning.access``), and what they get: pages that work without a script.

A page is a module with ``doors = ConsoleDoors()`` and its name in ``app.PAGES``; where it stands in the navigation says
``navigation.MENUS``. A page that is to be live names its topics (``topics``) and marks what it fetches anew (the
macro ``live`` in ``templates/parts.html.j2``). What is changed is a form, with a preview where it touches others.
"""

from provisioning.console.app import add_console, first_link
from provisioning.console.live import LiveStreams

__all__ = ["LiveStreams", "add_console", "first_link"]
