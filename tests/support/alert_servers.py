"""Real servers on this machine that take alerts: HTTP and SMTP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inbox:
    """What a server was sent.

    Attributes:
        port: Where it listens.
        posts: Paths, headers and JSON of what was posted and taken.
        mails: Addresses and e-mails.
        attempts: How often it was asked.
        answers: Statuses of HTTP that it gives first, instead of taking what it is sent.
        hangs: While set, it does not answer; `released` ends that.
    """

    port: int = 0
    posts: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    attempts: int = 0
    answers: list[int] = field(default_factory=list)
    location: str = ""
    hangs: bool = False
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [data for _, _, data in self.posts]

    def take(self) -> list[dict[str, Any]]:
        """What was posted since it was last taken."""
        found = self.sent
        self.posts.clear()
        return found


@contextmanager
def http_server() -> Iterator[Inbox]:
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            inbox.attempts += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if inbox.hangs:
                inbox.released.wait(60)
            status = inbox.answers.pop(0) if inbox.answers else 200
            if status == 200:
                inbox.posts.append((self.path, dict(self.headers), json.loads(body)))
            answer = f"answer to {self.path}".encode()
            self.send_response(status)
            if inbox.location:
                self.send_header("Location", inbox.location)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever has given up has closed the connection."""

    with _serving(Server(("127.0.0.1", 0), Handler), inbox):
        yield inbox


@contextmanager
def smtp_server(*, login: Callable[[str], bool] | None = None) -> Iterator[Inbox]:
    """An SMTP server; `login` is given what comes with AUTH PLAIN."""
    inbox = Inbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            inbox.attempts += 1
            to: list[str] = []
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                word = line.split(" ", 1)[0].upper()
                if word == "EHLO":
                    self.say("250-here")
                    self.say("250 AUTH PLAIN" if login else "250 HELP")
                elif word == "AUTH":
                    assert login is not None
                    taken = login(line.split(" ")[2])
                    self.say("235 welcome" if taken else "535 wrong password")
                elif word == "RCPT":
                    address = line.split("<")[1].split(">")[0]
                    known = not address.startswith("nobody@")
                    to += [address] * known
                    self.say("250 fine" if known else "550 unknown")
                elif word == "DATA":
                    self.say("354 go on")
                    lines: list[bytes] = []
                    while (text := self.rfile.readline()) != b".\r\n":
                        lines.append(text.removeprefix(b".") if text[:2] == b".." else text)
                    mail = message_from_bytes(b"".join(lines), policy=policy.default)
                    assert isinstance(mail, EmailMessage)
                    inbox.mails.append((to, mail))
                    to = []
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with _serving(Server(("127.0.0.1", 0), Handler), inbox):
        yield inbox


@contextmanager
def _serving(server: socketserver.TCPServer, inbox: Inbox) -> Iterator[None]:
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        inbox.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
