"""The network namespace that the Elasticsearch process may have of its own: what is made in there belongs to it."""

import os

CLONE_NEWNET = 0x40000000


class Namespace(object):
    """`with` it, this thread's new sockets and tools are in it. path: of /proc/PID/ns/net, None for the program's own.

    apart: it is another than the program's own, and the program may enter it
    """

    def __init__(self, path=None):
        self.apart = False
        try:
            if path and os.readlink(path) != os.readlink("/proc/self/ns/net"):
                self.files = [os.open(name, os.O_RDONLY) for name in (path, "/proc/self/ns/net")]
                self.setns = library().setns
                self.apart = self.setns(self.files[0], CLONE_NEWNET) == 0
        except (OSError, AttributeError):  # not permitted, or no C library that has the call
            return
        self.__exit__()

    def __enter__(self):
        self.go(0)

    def __exit__(self, *_):
        self.go(1)

    def go(self, where):
        if self.apart and self.setns(self.files[where], CLONE_NEWNET):
            raise OSError("setns")


HERE = Namespace()


def library():
    """The C library, None where Python may not call it."""
    try:
        import ctypes

        return ctypes.CDLL(None)
    except (ImportError, OSError, MemoryError, AttributeError):
        return None
