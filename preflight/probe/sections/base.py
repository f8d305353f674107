"""What every section stands on: how "could not be seen" is said, files, tools, time."""

import os
import re
import signal
import threading
import time

OPEN_UP = "use --sudo, or log in as a user of group elasticsearch"
SUDO = "use --sudo (or --sudo-user with the user Elasticsearch runs as)"
TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
REGION = re.compile(r"[A-Za-z0-9._-]{1,32}")

CHILDREN = set()
# Held while a tool starts, and for good once the program ends: none may slip past its end.
STARTING = threading.Lock()


class Unseen(Exception):
    """A fact that could not be seen: one sentence without a secret, and what would make it known."""

    def __init__(self, reason, remedy=""):
        Exception.__init__(self, reason)
        self.reason = reason
        self.remedy = remedy


class Deadline(object):
    """A moment to be ready by. seconds: from now."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self, most=None):
        """Seconds left, never less than a hundredth so that it can stand as a timeout; at most `most`."""
        left = max(self.end - time.monotonic(), 0.01)
        return left if most is None else min(left, most)

    def passed(self):
        return time.monotonic() >= self.end


def decoded(octets):
    """Text that survives JSON whatever the octets were."""
    return octets.decode("utf-8", "replace")


def read_octets(path, most=4 << 20):
    """The file's content. Raises Unseen where it may not be read or is no sensible file, FileNotFoundError."""
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except PermissionError:
        raise Unseen("%s may not be read by %s" % (path, user_name(os.geteuid())), OPEN_UP)
    if len(content) > most:
        raise Unseen("%s is larger than %d MiB" % (path, most >> 20))
    return content


def read_text(path):
    return decoded(read_octets(path))


def status_of(path):
    """os.stat, None where nothing is there. Raises Unseen where a directory on the way may not be searched."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise Unseen("%s may not be looked at by %s" % (path, user_name(os.geteuid())), OPEN_UP)


def user_name(uid):
    """The user's name, its number as text where it has none here."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid):
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def tool(name):
    """Absolute path of a system tool, None where there is none: an ssh session's PATH often lacks the sbin folders."""
    for folder in TOOL_PATH.split(":"):
        path = folder + "/" + name
        if os.access(path, os.X_OK):
            return path
    return None


def start(arguments, environment=None):
    """Start a tool with nothing on its standard input and messages in English."""
    import subprocess

    variables = {"PATH": TOOL_PATH, "LC_ALL": "C"}
    variables.update(environment or {})
    with STARTING:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=variables,
            cwd="/",
            start_new_session=True,
        )
        CHILDREN.add(child)
    return child


def stop(child):
    """End a tool and what it has started: a script's JVM would hold its output open."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        pass


def finish(child, seconds):
    """(exit status, stdout, stderr) of a started tool. Raises Unseen where it outlives `seconds`."""
    import subprocess

    try:
        output, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(child)
        child.communicate()
        raise Unseen("%s did not end within %.0f s" % (os.path.basename(child.args[0]), seconds))
    finally:
        CHILDREN.discard(child)
    return child.returncode, decoded(output), decoded(errors)


class Once(object):
    """Things several sections need, each found once by whoever asks first; a failure is remembered too."""

    def __init__(self):
        self.lock = threading.RLock()
        self.found = {}

    def get(self, name, find):
        with self.lock:
            if name not in self.found:
                try:
                    self.found[name] = (find(), None)
                except Unseen as unseen:
                    self.found[name] = (None, unseen)
            value, unseen = self.found[name]
        if unseen is not None:
            raise unseen
        return value
