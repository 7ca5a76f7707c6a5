"""Ports on this machine that a command is to serve on."""

from __future__ import annotations

import errno
import socket

from dataprep.records import InputError


def free_port(port: int, option: str = "--port") -> int:
    """The same port, if this process may listen on it at 127.0.0.1 and nobody does; for 0 a free one. Otherwise InputError."""
    if not 0 <= port <= 65535:
        raise InputError(f"{option}: found {port}, expected a port from 0 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was let go a moment ago is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "in use by another program" if error.errno == errno.EADDRINUSE else "not for this user"
            raise InputError(f"{option}: port {port} of 127.0.0.1 is {why}: choose another") from None
        return int(probe.getsockname()[1])
