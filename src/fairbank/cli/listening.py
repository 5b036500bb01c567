"""The socket of a server that a command starts; a port in use is told in words."""

from __future__ import annotations

import errno
import socket

from fairbank.cli.errors import PortInUse

_WAITING = 2_048


def listen(host: str, port: int, *, who: str, todo: str) -> socket.socket:
    """Return a socket that takes connections; they wait until the server runs.

    Args:
        port: 0 takes any that is free.
        who: what cannot listen, for the message.
        todo: how to choose another port.

    Raises:
        PortInUse: if another process has the port, or it may not be had.
    """
    # asyncio sends without delay (TCP_NODELAY) only where the socket says that it is TCP; answers would wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_WAITING)
    except OSError as err:
        listener.close()
        if err.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise PortInUse(
            f"{who} cannot listen at {host}:{port}.",
            why=f"{err.strerror}: another process has the port, or it is not for you.",
            todo=todo,
        ) from err
    return listener
