"""Serving both doors at one address until told to stop: the API under ``/api/v1``, the console at ``/``.

``serve`` answers in this process (``serve_on`` at an address that was taken with ``listen`` before),
``serve_in_processes`` in several that one keeper starts; by TLS with ``tls_files``.
"""

from provisioning.serving.processes import serve_in_processes
from provisioning.serving.server import Seat, Tell, listen, run_serving, serve, serve_in, serve_on
from provisioning.serving.tls import TlsFiles, tls_files

__all__ = [
    "Seat",
    "Tell",
    "TlsFiles",
    "listen",
    "run_serving",
    "serve",
    "serve_in",
    "serve_in_processes",
    "serve_on",
    "tls_files",
]
