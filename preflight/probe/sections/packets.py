"""What becomes of packets as long as the kernel sends them to a bucket: a request longer than one packet, and where
that or a handshake is lost, the same once more at several lengths at once."""

import socket

from .dialling import kernel_says, plain_socket
from .together import together

# What is common on the way: a transit gateway, Ethernet, tunnels, IPv6's least and IPv4's.
SIZES = (8500, 1500, 1450, 1400, 1350, 1280, 1000, 576)
# S3 takes 8 kB of headers.
LONGEST = 7000


def padding(path_mtu):
    """A header's value that makes a request longer than one packet, or as long as S3 takes it."""
    return "x" * min((path_mtu or 1500) + 200, LONGEST)


def sent_long(wire, path, asked, patience, look):
    """The Packets record of an http.client connection that is up; it is closed where its state is not known."""
    import http.client

    sock = wire.sock
    if sock is None:  # closed by the server after its last answer
        return None
    try:
        address = sock.getpeername()[0]
        sock.settimeout(patience)
        wire.request("HEAD", path, headers={"X-Preflight-Padding": padding(kernel_says(sock)[0])})
        wire.getresponse().read()
        if wire.sock is not None:
            sock.settimeout(max(patience, 10))
        return record(kernel_says(sock))
    except socket.timeout:
        told = kernel_says(sock)
        wire.close()
        return retried(told, "request", address, asked, patience, look)
    except (OSError, http.client.HTTPException):
        wire.close()
        return None


def record(told, step=None, answered=(), unanswered=()):
    return dict(
        zip(("path_mtu", "retransmits", "unacknowledged"), told),
        step=step,
        answered=list(answered),
        unanswered=list(unanswered),
    )


def retried(told, step, address, asked, patience, look):
    """The Packets record of a connection on which a step had no answer in time. told: what the kernel says of it"""
    most = told[0] or 1500
    sizes = [most] + [size for size in SIZES if size < most]
    # The first is as the kernel has it: what gets through now was lost by chance.
    work = {
        size: lambda size=size: answers(address, asked, most, size if size < most else None, patience, look)
        for size in sizes
    }
    done = together(work, look.deadline)
    return record(told, step, *([size for size in sizes if done[size] is wanted] for wanted in (True, False)))


def answers(address, asked, path_mtu, most, patience, look):
    """Whether TLS and a long HEAD are answered with packets of so many bytes at most; None where it ends otherwise."""
    import ssl

    path = "/" + asked["bucket"] if asked["path_style"] else "/"
    lines = ["HEAD %s HTTP/1.1" % path, "Host: " + asked["host"], "X-Preflight-Padding: " + padding(path_mtu), "", ""]
    with look.namespace():
        wire = plain_socket(address, most)
    try:
        wire.settimeout(patience)
        wire.connect((address, asked["port"]))
        if asked["tls"]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # Nothing is told to whoever answers, and nothing believed.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            wire = context.wrap_socket(wire, server_hostname=asked["host"])
        wire.sendall("\r\n".join(lines).encode("ascii"))
        return bool(wire.recv(1)) or None
    except socket.timeout:
        return False
    except (OSError, ValueError):
        return None
    finally:
        wire.close()
