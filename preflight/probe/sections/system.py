"""Section `system`: the operating system, and the node's clock at the moment of asking."""

import os
import sys
import time

from .base import read_text, user_name


def system(look):
    kernel = os.uname()
    return {
        "hostname": kernel.nodename,
        "user": user_name(os.geteuid()),
        "os": os_name() or kernel.sysname,
        "kernel": kernel.release,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "clock": time.time(),
    }


def os_name():
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            lines = read_text(path).splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip().strip("\"'")
    return None
