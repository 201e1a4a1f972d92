"""The HTTP API: thin routes on the same doors that the command line uses, one module a noun.

``create_app(appliance)`` is the application; ``provisioning.serving`` runs it, together with the console. To add a
noun: a module with ``doors = Doors(...)`` (see ``routes``), and its name in ``app.NOUNS``, or in ``app.OUTSIDE`` for
what has an address of its own; every route names its permission, and the answers' types are those of the services. No
rule of the business stands in a route.
"""

from provisioning.api.app import create_app
from provisioning.api.calls import Call, InCall
from provisioning.api.routes import PUBLIC, Door, Doors

__all__ = [
    "PUBLIC",
    "Call",
    "Door",
    "Doors",
    "InCall",
    "create_app",
]
