"""moto's SSM as the lab has it, each "instance" being a shell on this machine.

    python run_command.py PORT DIRECTORY

DIRECTORY/ID is a managed instance, its content "online" or another word. A command's script lies in DIRECTORY/log.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lab import aws_ssm


def main(port: int, directory: Path) -> None:
    from moto.server import ThreadedMotoServer

    def enter(instance: str, command: list[str]) -> list[str]:
        return list(command)

    def agents() -> dict[str, bool]:
        return {file.name: file.read_text() == "online" for file in directory.glob("*i-*")}

    aws_ssm.install(agents, enter)
    ThreadedMotoServer(ip_address="127.0.0.1", port=port).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
