"""moto's SSM as the lab has it, each "instance" being a shell on this machine and a session to it reaching its ports.

    python run_command.py PORT DIRECTORY

DIRECTORY/ID is a managed instance, its content "online" or another word, then the agent's version where that matters.
While DIRECTORY/denied is there, nobody may start a session.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

from lab import aws_sessions, aws_ssm


def main(port: int, directory: Path) -> None:
    from moto.server import ThreadedMotoServer

    def enter(instance: str, command: list[str]) -> list[str]:
        return list(command)

    def agents() -> dict[str, bool]:
        return {file.name: file.read_text().split()[0] == "online" for file in directory.glob("*i-*")}

    def version(instance: str) -> str:
        return " ".join((directory / instance).read_text().split()[1:]) or aws_ssm.AGENT

    def dial(instance: str, host: str, number: int) -> socket.socket:
        return socket.create_connection((host, number), 5)

    aws_ssm.install(agents, enter, version)
    gateway = aws_sessions.Gateway(("127.0.0.1", 0), lambda instance: agents().get(instance, False), dial)
    aws_sessions.install(gateway, lambda: not (directory / "denied").exists())
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    ThreadedMotoServer(ip_address="127.0.0.1", port=port).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
