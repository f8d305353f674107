"""The program: one JSON request a line in, one framed JSON answer a line out, a thread a request. Changes nothing."""

import json
import os
import re
import signal
import sys
import threading
import time

from .base import CHILDREN, STARTING, Deadline, Once, Unseen, stop, user_name
from .certificates import certificates
from .config import config
from .container import Container, container
from .imds import Metadata, imds
from .install import find_place, install
from .keystore import keystore
from .log import log
from .namespace import Namespace
from .owner import owner_of
from .paths import paths
from .pieces import hand_over
from .process import NotTold, find_server, process
from .relay import Relay
from .routing import routing
from .sources import sources
from .system import system
from .together import our_fault, together, wrapped

PROTOCOL = 1
SECTIONS = {
    "system": system,
    "install": install,
    "process": process,
    "keystore": keystore,
    "config": config,
    "sources": sources,
    "log": log,
    "imds": imds,
    "container": container,
    "routing": routing,
}


class Look(object):
    """What the sections of one answer share, and by when they must be ready.

    port, pid: which of several Elasticsearch is meant; fingerprint_key: hex, the run's, for what is compared without
    being told; keystore_password: text. Each may be None. tokenless_before: release from which on IMDS is asked with a
    session token; kept: what is asked once for all questions
    """

    def __init__(self, deadline, kept, port, message):
        self.deadline, self.once, self.kept = deadline, Once(), kept
        self.port, self.pid = port, message.get("pid")
        self.tokenless_before = tuple(message.get("tokenless_before", ()))
        self.fingerprint_key, self.keystore_password = message.get("fingerprint_key"), message.get("keystore_password")

    def server(self):
        return self.once.get("server", lambda: find_server(self.port, self.pid))

    def place(self):
        return self.once.get("place", lambda: find_place(self.server(), self.port))

    # Both are kept from the first question to the second, where they sign.

    def metadata(self):
        return self.kept["metadata"].get("metadata", lambda: Metadata(self.deadline, self.owner(), self.tokenless()))

    def container(self):
        return self.kept["container"].get("container", lambda: Container(self.server(), self.owner(), self.deadline))

    def key(self, signer):
        """The credentials that sign: of the "container" endpoint or the "instance" role; None where it gave none."""
        return (self.container() if signer == "container" else self.metadata()).key

    def namespace(self):
        return self.once.get("namespace", self.find_namespace)

    def find_namespace(self):
        try:
            server = self.server()
        except Unseen:
            server = None
        return Namespace(None if server is None else server.folder + "/ns/net")

    def owner(self):
        return self.once.get("owner", lambda: owner_of(self))

    def tokenless(self):
        """Whether this Elasticsearch asks the metadata service without a token."""
        try:
            place = self.place()
        except Unseen:
            return False
        release = re.match(r"(\d+)\.(\d+)", (place or {}).get("version") or "")
        return release is not None and tuple(map(int, release.groups())) < self.tokenless_before


class Program(object):
    """marker: begins every line we write, so that what a login shell says before or between is no answer.

    port: one that the Elasticsearch in question listens on, None where it is the host's only one
    """

    def __init__(self, marker, output, port):
        self.marker, self.output, self.port = marker, output, port
        self.lock = threading.Lock()
        self.relays = {}
        self.kept = {"metadata": Once(), "container": Once()}

    def send(self, message):
        line = memoryview(("%s %s\n" % (self.marker, json.dumps(message))).encode("ascii"))
        with self.lock:
            while line:
                line = line[os.write(self.output, line) :]

    def take(self, message):
        """One line of the controller: a frame of a relay, or a request."""
        number = message["id"]
        if "ask" not in message:
            relay = self.relays.get(number)
            if relay is not None:
                relay.frame(message)
            return
        if message["ask"] == "relay":
            # Known before its first frame can come.
            self.relays[number] = Relay(number, self.send)
        threading.Thread(target=self.work, args=(message,), daemon=True).start()

    def result(self, message):
        """The answer, or why there is none."""
        try:
            return {"answer": self.answer(message)}
        except Unseen as unseen:
            return {"error": unseen.reason, "remedy": unseen.remedy}
        except Exception as error:
            fault = our_fault(error)
            return {"error": fault.reason, "remedy": fault.remedy}

    def work(self, message):
        number = message["id"]
        answer = dict(self.result(message), id=number)
        try:
            self.send(answer)
            relay = self.relays.get(number)
            if relay is not None and "answer" in answer:
                relay.carry()
        except OSError:
            end()
        self.relays.pop(number, None)

    def answer(self, message):
        ask = message["ask"]
        if ask == "clock":
            return {"clock": time.time()}
        seconds = float(message["deadline"])
        # Ready a little before the controller stops waiting.
        look = Look(Deadline(max(seconds - 1, seconds * 0.8)), self.kept, self.port, message)
        if ask == "facts":
            work = {name: lambda name=name: SECTIONS[name](look) for name in message["sections"]}
            done = together(work, look.deadline)
            for result in done.values():
                if isinstance(result, NotTold):
                    return {"not_told": wrapped(result)}
            return {"sections": {name: wrapped(result) for name, result in done.items()}}
        if ask == "paths":
            return paths(message, look)
        if ask == "filters":
            exec(compile(message["program"], "preflight", "exec"), globals())
            return globals()["filters"](message, look)
        if ask == "certificates":
            return certificates(message, look)
        if ask == "relay":
            self.relays[message["id"]].connect(message["host"], message["port"], look.deadline.left())
            return {}
        raise Unseen("this probe knows no question %s" % ask)


def end():
    """At once, whatever the threads are at; tools that still run go too."""
    STARTING.acquire(timeout=1)
    for child in list(CHILDREN):
        stop(child)
    os._exit(0)


def answer_once(hello, greeting, output):
    """Where there is no stream: all questions came along, their answers are printed as one.

    nodes: instance id -> [{"es_port", "ask": [questions]}] in turn
    """
    nodes = hello["nodes"]
    mine = nodes.get(sys.argv[1])
    if mine is None:
        if len(nodes) > 1:
            raise Unseen("the SSM agent does not say which instance this is (AWS_SSM_INSTANCE_ID)")
        mine = list(nodes.values())[0]
    answers = []
    for asked in mine:
        program = Program("", output, asked["es_port"])
        answers.append([dict(program.result(question), clock=time.time()) for question in asked["ask"]])
    hand_over(dict(greeting, answers=answers), hello["name"], hello["piece"], output)


def serve():
    source = sys.stdin.buffer
    hello = json.loads(source.readline().decode("ascii"))
    signal.signal(signal.SIGALRM, lambda number, frame: end())
    signal.alarm(int(hello["lifetime"]))
    # Whatever else writes to standard output from now on is no part of the protocol.
    output = os.dup(1)
    os.dup2(2, 1)
    version = "%d.%d.%d" % sys.version_info[:3]
    greeting = {"protocol": PROTOCOL, "python": version, "user": user_name(os.geteuid()), "pid": os.getpid()}
    if "nodes" in hello:
        try:
            answer_once(hello, greeting, output)
        except Exception as error:
            fault = error if isinstance(error, Unseen) else our_fault(error)
            os.write(2, (fault.reason + "\n").encode("ascii", "replace"))
        finally:
            end()
    program = Program(hello["marker"], output, hello["es_port"])
    os.write(output, b"\n")
    program.send(greeting)
    try:
        for line in source:
            program.take(json.loads(line.decode("ascii")))
    finally:
        end()


if __name__ == "__main__":
    serve()
