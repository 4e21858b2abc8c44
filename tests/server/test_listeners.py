"""The listening sockets: all addresses of a host, and the errors of those that cannot be used."""

import socket
from pathlib import Path

import pytest

from broker.server.exits import Exit, StartError
from broker.server.listeners import adopt, listen


def test_every_address_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """All addresses of a host name listen on the same free port."""
    listeners = listen("", 0)
    try:
        assert {listener.family for listener in listeners} <= {socket.AF_INET, socket.AF_INET6}
        ports = {listener.getsockname()[1] for listener in listeners}
        assert len(ports) == 1
        with socket.create_connection(("127.0.0.1", *ports)):
            pass
    finally:
        for listener in listeners:
            listener.close()


ABSENT = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
HERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))


@pytest.mark.parametrize("found", [[ABSENT, HERE], [HERE, ABSENT]])
def test_absent_address_is_skipped(monkeypatch: pytest.MonkeyPatch, found: list[object]) -> None:
    """An address that this machine does not have is skipped if the host has another."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    (listener,) = listen("both.example", 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "shown", "remedy"),
    [
        ("192.0.2.1", "192.0.2.1:", "Choose another --host."),
        ("2001:db8::1", "[2001:db8::1]:", "Choose another --host."),
        ("nowhere.invalid", "nowhere.invalid:", "Choose another --host."),
        ("127.0.0.1", "127.0.0.1:", "Stop the process that uses the port, or choose another --port."),
    ],
)
@pytest.mark.parametrize("is_listening", [True, False])
def test_unusable_address_is_named(host: str, shown: str, remedy: str, is_listening: bool) -> None:
    """One line names the address, the reason and the remedy, also if another socket is bound and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if is_listening:
            taken.listen()
        with pytest.raises(StartError, match="cannot listen on ") as caught:
            listen(host, taken.getsockname()[1])
    text = str(caught.value)
    assert caught.value.status == Exit.CANNOT_LISTEN
    assert shown in text
    assert text.endswith(remedy)
    assert len(text.splitlines()) == 1


def test_no_socket_leaks_after_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one address of a host is taken, the sockets of the others are closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        other = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [other, HERE])
        with pytest.raises(StartError):
            listen("both.example", port)
        with socket.socket() as probe:
            probe.bind(("127.0.0.2", port))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_inherited_listener_is_adopted(tmp_path: Path, family: socket.AddressFamily) -> None:
    """A listening stream socket is used, whatever its family, and programs that are started do not inherit it."""
    opened = socket.socket(family)
    opened.bind(str(tmp_path / "a.sock") if family == socket.AF_UNIX else ("127.0.0.1", 0))
    opened.listen()
    opened.set_inheritable(True)
    with adopt(opened.detach()) as listener:
        assert (listener.family, listener.type, listener.get_inheritable()) == (family, socket.SOCK_STREAM, False)


def test_other_descriptors_are_refused(tmp_path: Path) -> None:
    """A file, a closed descriptor, and a socket that does not listen are refused, and stay open."""
    with (
        (tmp_path / "file").open("wb") as file,
        socket.socket() as idle,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connected,
    ):
        reasons = {
            1_000_000: "bad file descriptor",
            file.fileno(): "socket operation on non-socket",
            **dict.fromkeys(
                map(socket.socket.fileno, (idle, datagrams, connected)), "it is not a listening stream socket"
            ),
        }
        for descriptor, reason in reasons.items():
            with pytest.raises(StartError, match=f"--fd {descriptor} cannot be used: {reason}. Pass a ") as caught:
                adopt(descriptor)
            assert caught.value.status == Exit.WRONG_CALL
        file.write(b"open")
        assert connected.getpeername() == listener.getsockname()
