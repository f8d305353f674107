"""Section `log`: what AWS said to this node lately, out of the end of its Elasticsearch log. Sentences, never a key."""

import os
import re
import time

from .base import Unseen, decoded, read_octets, status_of, user_name
from .config import BadLine, parse

LAST = 2 << 20
KEPT = 5
ENTRY = re.compile(r"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[,.]\d+(Z|[+-]\d\d:?\d\d)?\]")
# "... [es-2] [s3_backup] failed to verify" and "[index][0][s3_backup:snapshot/uuid] failed to snapshot shard".
REPOSITORY = re.compile(
    r"\[([A-Za-z0-9._-]{1,128}):[^\]/\s]{1,255}/[\w-]{10,}\]|\] \[[^\]]*\] \[([A-Za-z0-9._-]{1,128})\] "
)
# Both SDKs put who said it behind the sentence; what the SDK says itself has no such end.
SERVICE = re.compile(r"^(.*?)\s*\(Service: (?:Amazon )?(?:S3|STS|AWSSecurityTokenService)\b")
CLIENT = re.compile(r"(?:Unable|Failed) to (?:load|find|connect|execute)[^\[\]{}\n]{0,200}")
# Looked for before anything is matched: two megabytes are read while other sections wait for the processor.
MARKS = (
    "(Service: ",
    "Unable to load credentials",
    "Unable to load AWS credentials",
    "Unable to execute HTTP request",
    "Failed to load credentials",
    "Failed to connect to service endpoint",
)
# A node logs its peers' failures too: whose they are stands in front of them.
REMOTE = "RemoteTransportException"


def log(look):
    place = look.place()
    if place is None:
        raise Unseen("no Elasticsearch was found on this host: none runs, and none is in /usr/share/elasticsearch")
    path = log_path(place)
    text, whole = last_text(place["root"] + path)
    return {"path": path, "whole": whole, "lines": said(text)}


def log_path(place):
    """path.logs and cluster.name of elasticsearch.yml, else Elasticsearch's own defaults."""
    try:
        settings = parse(read_octets(place["root"] + place["path_conf"] + "/elasticsearch.yml"))
    except (BadLine, FileNotFoundError):
        raise Unseen("where Elasticsearch writes its log could not be read from elasticsearch.yml")
    folder = os.path.join(place["home"], settings.get("path.logs") or "logs")
    path = "%s/%s.log" % (folder.rstrip("/"), settings.get("cluster.name") or "elasticsearch")
    if "${" in path:
        raise Unseen("where Elasticsearch writes its log depends on a variable")
    return path


def last_text(path):
    """(the last 2 MB from the beginning of a line on, whether that is the whole file). Raises Unseen."""
    if status_of(path) is None:
        raise Unseen("%s does not exist" % path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LAST, 0))
            text = decoded(file.read(LAST))
    except PermissionError:
        raise Unseen("%s may not be read by %s" % (path, user_name(os.geteuid())), "use --sudo")
    return (text, True) if size <= LAST else (text.partition("\n")[2], False)


def said(text):
    """The youngest sentences, oldest first, each once for a repository; an entry counts once for each."""
    found, counted = {}, set()
    for at in sorted(places(text)):
        begin, start = entry_of(text, at)
        end = text.find("\n", at)
        line = text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)]
        sentence = sentence_of(line)
        if start is None or sentence is None or (begin, sentence) in counted or REMOTE in text[begin:at]:
            continue
        counted.add((begin, sentence))
        when = seconds(start.group(1), start.group(2))
        named = REPOSITORY.search(text, begin, text.find("\n", begin) + 1 or len(text))
        repository = named and (named.group(1) or named.group(2))
        entry = found.setdefault(
            (repository, sentence),
            {"first": when, "last": when, "count": 0, "repository": repository, "sentence": sentence},
        )
        entry["last"] = max(entry["last"], when)
        entry["count"] += 1
    return sorted(found.values(), key=lambda entry: entry["last"])[-KEPT:]


def places(text):
    """Where one of the marks stands."""
    for mark in MARKS:
        at = text.find(mark)
        while at >= 0:
            yield at
            at = text.find(mark, at + 1)


def entry_of(text, at):
    """(offset, match) of the entry's first line, which carries its time; (0, None) where it was cut off."""
    while at > 0:
        begin = text.rfind("\n[", 0, at) + 1
        start = ENTRY.match(text, begin)
        if start:
            return begin, start
        at = begin - 1
    return 0, ENTRY.match(text)


def sentence_of(line):
    """AWS's or the SDK's own sentence in a line, without the exception's name and without a key; None where none is."""
    match = SERVICE.match(line) if "(Service: " in line else None
    if match:
        text = re.split(r"[Ee]xception(?:: |\[)", match.group(1))[-1]
    else:
        match = CLIENT.search(line)
        if match is None:
            return None
        text = match.group(0)
    text = " ".join(re.sub(r"\b(A[A-Z]{3})[A-Z0-9]{12,}\b", r"\1...", text).split())[-300:]
    return text or None


def seconds(text, zone):
    """The log's own time, seconds since the epoch; without a zone it is the node's."""
    parsed = time.strptime(text, "%Y-%m-%dT%H:%M:%S")
    if not zone:
        return time.mktime(parsed)
    import calendar

    if zone == "Z":
        return float(calendar.timegm(parsed))
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return float(calendar.timegm(parsed) - (minutes if zone[0] == "+" else -minutes) * 60)
