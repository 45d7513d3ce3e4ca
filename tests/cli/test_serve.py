"""The socket that `nearfield serve` listens at."""

from __future__ import annotations

import socket

import pytest

from nearfield.cli.serving.serve import listening_socket
from nearfield.errors import InputError


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_headers() -> None:
    with listening_socket("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        port = listening.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen at 127.0.0.1, port {port}: .*in use"):
            listening_socket("127.0.0.1", port)
    with pytest.raises(InputError, match=r"cannot listen at 203\.0\.113\.7, port 0: "):
        listening_socket("203.0.113.7", 0)
    with pytest.raises(InputError, match="cannot listen at no such host, port 0"):
        listening_socket("no such host", 0)
