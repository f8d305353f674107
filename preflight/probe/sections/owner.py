"""Sockets that belong to the user Elasticsearch runs as, which is whom a firewall rule for one user goes by."""

import os
import socket

from .base import Unseen, user_name
from .namespace import HERE, library


class Owner(object):
    """Whose sockets are opened. user: its name; service: it is the user Elasticsearch runs as, None where none runs.

    switched: it is another user than the probe's own; namespace: where they are
    """

    def __init__(self, uid=None, gid=None, namespace=HERE):
        own, self.namespace = os.geteuid(), namespace
        self.uid, self.gid, self.library = uid, gid, None
        if uid is not None and uid != own:
            self.library = library()
        self.switched = self.library is not None and self.wears()
        self.user = user_name(uid if self.switched else own)
        self.service = None if uid is None else self.switched or uid == own

    def wears(self):
        """Whether this process may put the user on; it has its own again afterwards."""
        self.put_on()
        worn = self.library.setfsuid(-1) == self.uid
        self.take_off()
        return worn

    def put_on(self):
        # Of this thread alone, and what the kernel writes into a socket that is made meanwhile.
        self.library.setfsgid(self.gid)
        self.library.setfsuid(self.uid)

    def take_off(self):
        self.library.setfsuid(os.geteuid())
        self.library.setfsgid(os.getegid())

    def connect(self, address, seconds):
        """A TCP connection to (host, port) within `seconds`. Raises OSError."""
        host, port = address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with self.namespace:
            if self.switched:
                self.put_on()
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            finally:
                if self.switched:
                    self.take_off()
        try:
            sock.settimeout(seconds)
            sock.connect((host, port))
        except BaseException:
            sock.close()
            raise
        return sock


def owner_of(look):
    """The user of the Elasticsearch process; the probe's own where none runs or can be told."""
    try:
        server = look.server()
    except Unseen:
        server = None
    return Owner() if server is None else Owner(server.uid, server.gid, look.namespace())
