"""The socket that `nearfield serve` listens at."""

from __future__ import annotations

import socket

import uvicorn

from nearfield.cli.serving.serve import listening_socket


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_headers() -> None:
    with listening_socket(uvicorn.Config("app", port=0)) as listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
