"""The node's own path to a bucket: name, TCP, TLS, an unsigned HEAD, a list signed with the instance role."""

import calendar
import os
import re
import socket
import time

from .base import REGION, Unseen, finish, read_text, start, tool
from .dialling import Call, dial_all, kernel_says
from .network import Unresolved, addresses_of
from .packets import retried, sent_long
from .truststore import jvm_authorities

# Only S3's own hosts are shown a signature: amazonaws.com also names instances and load balancers of anybody.
AWS_S3 = re.compile(r"(?:[a-z0-9.-]+\.)?s3[a-z0-9-]*\.(?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?")
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
HOSTS = "/etc/hosts"
# What _verify writes, and this suite's own --try-role (RepositoriesService: the seed is a base64 UUID).
MARKER = re.compile(
    r"tests-[A-Za-z0-9_-]{22}/(?:master\.dat|data-[A-Za-z0-9_-]{1,64}\.dat)|tests-preflight-[^/]{1,64}/[^/]+"
)


def bucket_path(asked, look, patience):
    """One BucketPath. asked: repository, bucket, base_path, service, host, port, region, path_style, tls, sign,
    why_not."""
    value = {
        "repository": asked["repository"],
        "host": asked["host"],
        "port": asked["port"],
        "dns": "ok",
        "addresses": [],
        "tcp": None,
        "milliseconds": 0.0,
        "tls": None,
        "head_status": None,
        "bucket_region": None,
        "clock_offset": None,
        "signed_list": None,
        "leftovers": None,
        "hosts_lines": [],
        "resolver": None,
        "trust_store": None,
        "host_trusts": None,
        "marker": None,
        "packets": None,
    }
    try:
        walk(asked, look, patience, value)
    except Unseen as unseen:
        value["signed_list"] = unknown(unseen)
    return value


def unknown(unseen):
    """The record of what could not be seen."""
    return {"fact": "Unknown", "reason": unseen.reason, "remedy": unseen.remedy, "blocked": False}


def walk(asked, look, patience, value):
    """Fill in the value as far as the path carries. Raises Unseen with why the list was not tried."""
    path = "/" + asked["bucket"] if asked["path_style"] else "/"
    # Imported before the clock starts: on a slow node it takes longer than the network.
    import http.client

    began = time.monotonic()
    try:
        wire = reach(asked, path, look, patience, value)
    except http.client.HTTPException as error:
        raise Unseen("not tried: %s gave no answer to HEAD (%s)" % (asked["host"], words_of(error)))
    finally:
        value["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
    try:
        if misdirected(asked, value):
            wire.close()
            asked = dict(
                asked, host=asked["host"].replace(asked["service"], "s3.%s.amazonaws.com" % value["bucket_region"])
            )
            wire = reach(asked, path, look, patience, dict(value))
        value["packets"] = sent_long(wire, path, asked, patience, look)
        if value["packets"] and value["packets"]["answered"]:
            raise Unseen("not tried: %s gave no answer to a request longer than one packet" % asked["host"])
        value["signed_list"] = signed_list(wire, path, asked, look, value)
        if asked.get("marker") and value["signed_list"]["status"] == 200:
            value["marker"] = marker(wire, path, asked, look, value)
        if asked.get("leftovers") and value["signed_list"]["status"] == 200:
            value["leftovers"] = leftovers(wire, path, asked, look, value)
    except http.client.HTTPException as error:
        raise Unseen("not tried: %s gave no answer to HEAD (%s)" % (asked["host"], words_of(error)))
    finally:
        wire.close()


def misdirected(asked, value):
    """True where S3 answers for another region: the list is then asked of that one, for it proves the role."""
    region = value["bucket_region"] or ""
    plain = re.fullmatch(r"s3\.(?:[a-z0-9-]+\.)?amazonaws\.com", asked["service"])
    return value["head_status"] in (301, 307) and bool(plain and REGION.fullmatch(region) and region != asked["region"])


def reach(asked, path, look, patience, value):
    """Name, TCP, TLS, HEAD: the connection on which HEAD was answered. Raises Unseen, HTTPException."""
    host, port = asked["host"], asked["port"]
    try:
        value["addresses"] = addresses_of(host, look.deadline.left(2 * patience))
    except Unresolved:
        value["dns"] = "dns"
        raise Unseen("not tried: %s has no address on this node" % host)
    value["hosts_lines"] = hosts_lines(host, value["addresses"])
    if value["hosts_lines"]:
        value["resolver"] = from_dns(host, look.deadline.left(patience))
    dialled = dial_all(
        [Call(address, port, namespace=look.namespace()) for address in value["addresses"]], patience, look.deadline
    )
    reached = [call.address for call in dialled if call.outcome == "open"]
    value["tcp"] = "open" if reached else dialled[0].outcome
    if not reached:
        raise Unseen("not tried: no TCP connection to %s (%s)" % (host, value["tcp"]))
    wire = connect(reached[0], asked, look, patience, value)
    try:
        wire.request("HEAD", path)
        answer = wire.getresponse()
        answer.read()
    except OSError as error:
        raise Unseen("not tried: %s gave no answer to HEAD (%s)" % (host, words_of(error)))
    value["head_status"] = answer.status
    value["bucket_region"] = answer.getheader("x-amz-bucket-region")
    value["clock_offset"] = clock_offset(answer.getheader("Date"))
    return wire


def hosts_lines(host, addresses):
    """Numbers of the lines of /etc/hosts that give the name one of its addresses; none where it may not be read."""
    try:
        lines = read_text(HOSTS).splitlines()
    except (Unseen, OSError):
        return []
    found = []
    for number, line in enumerate(lines, 1):
        fields = line.partition("#")[0].split()
        if fields and fields[0] in addresses and host.lower() in [name.lower() for name in fields[1:]]:
            found.append(number)
    return found


def from_dns(host, seconds):
    """What the name server alone says, None where it says nothing or cannot be asked past /etc/hosts."""
    getent = tool("getent")
    if getent is None:
        return None
    try:
        status, output, _ = finish(start([getent, "-s", "hosts:dns", "ahosts", host]), seconds)
    except Unseen:
        return None
    return sorted({line.split()[0] for line in output.splitlines() if line.split()}) if status == 0 else None


def connect(address, asked, look, patience, value):
    """An http.client connection on its way to that address. Fills in "tls". Raises Unseen."""
    import http.client

    host, port = asked["host"], asked["port"]
    limit = look.deadline.left(max(patience, 10))
    context = None
    try:
        if not asked["tls"]:
            wire = http.client.HTTPConnection(host, port, timeout=limit)
            sock = opened(address, port, look, patience, limit)
        else:
            context, value["trust_store"] = trusting(look)
            wire = http.client.HTTPSConnection(host, port, timeout=limit, context=context)
            sock = opened(address, port, look, patience, limit, context, host)
            value["tls"] = "ok"
    except (OSError, ValueError) as error:  # Python 3.6 says "another name" by a ValueError
        if asked["tls"]:
            value["tls"] = words_of(error)
        if isinstance(error, socket.timeout) and hasattr(error, "told"):
            value["packets"] = retried(error.told, "handshake", address, asked, patience, look)
        elif value["trust_store"] is not None:
            value["host_trusts"] = host_trusts(address, asked, look, patience)
        raise Unseen("not tried: no TLS connection to %s (%s)" % (host, words_of(error)))
    wire.sock = sock
    return wire


def opened(address, port, look, patience, limit, context=None, name=None):
    """A connected socket, in TLS where a context is given. Raises OSError, ValueError."""
    with look.namespace():
        sock = socket.create_connection((address, port), timeout=look.deadline.left(patience))
    sock.settimeout(limit)
    if context is None:
        return sock
    try:
        sock = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        sock.do_handshake()
        return sock
    except (OSError, ValueError) as error:
        error.told = kernel_says(sock)
        sock.close()
        raise


def host_trusts(address, asked, look, patience):
    """Whether this host's own trust store accepts the certificate; None where it has none."""
    try:
        context = trusting_as_host()
        limit = look.deadline.left(patience)
        opened(address, asked["port"], look, patience, limit, context, asked["host"]).close()
    except Unseen:
        return None
    except (OSError, ValueError):
        return False
    return True


def trusting(look):
    """(TLS against the trust store of Elasticsearch's JVM, its path); where that is not known, (this host's, None)."""
    import ssl

    try:
        path, certificates = look.once.get("authorities", lambda: jvm_authorities(look))
    except Unseen:
        return trusting_as_host(), None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # To Java whatever its store holds is an anchor, self-signed or not.
    context.verify_flags |= 0x80000
    for certificate in certificates:
        try:
            context.load_verify_locations(cadata=certificate)
        except (ssl.SSLError, ValueError):
            continue  # one that OpenSSL cannot read helps nobody here
    return context, path


def trusting_as_host():
    """TLS against the system's trust store, whatever Python this is."""
    import ssl

    # Not create_default_context: its newer strictness refuses authorities that Java and curl accept.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and os.listdir(paths.capath)):
        context.set_default_verify_paths()
    else:
        bundle = next((path for path in CA_BUNDLES if os.path.exists(path)), None)
        if bundle is None:
            raise Unseen("not tried: this node's Python finds no trust store", "install ca-certificates on that node")
        context.load_verify_locations(bundle)
    return context


def words_of(error):
    """An exception in words for a person, without OpenSSL's brackets and source lines."""
    text = getattr(error, "verify_message", "")
    if text:
        return "certificate verify failed: " + text
    if isinstance(error, socket.timeout):
        return "timeout"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r"\[[A-Z_: 0-9]+\]\s*|\s*\(_ssl\.c:\d+\)", "", text)[:200]


def clock_offset(date):
    """Node minus S3, seconds; half a second is added to a header that drops its fraction."""
    from email.utils import mktime_tz, parsedate_tz

    parsed = parsedate_tz(date or "")
    return None if parsed is None else round(time.time() - mktime_tz(parsed) - 0.5, 1)


def signed_list(wire, path, asked, look, seen):
    """One key's worth of ListObjectsV2 under the base path. Raises Unseen with why it was not tried."""
    return answered(*list_of(wire, path, asked, look, seen, "", 1))


def leftovers(wire, path, asked, look, seen):
    """Folders of _verify's markers under the base path, a page at most, each with the age of its youngest object."""
    try:
        status, body, _ = list_of(wire, path, asked, look, seen, "tests-", 1000)
        if status != 200:
            raise Unseen("S3 answered the list of markers with HTTP %d" % status)
    except Unseen as unseen:
        return unknown(unseen)
    now = time.time() - (seen["clock_offset"] or 0)
    folders = {}
    for entry in re.findall(r"<Contents>(.*?)</Contents>", body, re.S):
        key = re.search(r"<Key>([^<]+)</Key>", entry)
        modified = re.search(r"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", entry)
        if key and modified:
            folder, _, name = key.group(1).rpartition("/")
            age = now - calendar.timegm(time.strptime(modified.group(1), "%Y-%m-%dT%H:%M:%S"))
            found = folders.setdefault(folder, {"folder": folder, "objects": 0, "youngest": age, "known": True})
            found["objects"] += 1
            found["youngest"] = min(found["youngest"], age)
            found["known"] = found["known"] and bool(MARKER.fullmatch(key.group(1)[len(prefix_of(asked)) :]))
    return {
        "fact": "Leftovers",
        "more": "<IsTruncated>true</IsTruncated>" in body,
        "folders": [folders[name] for name in sorted(folders)],
    }


def prefix_of(asked):
    base = asked["base_path"].strip("/")
    return base + "/" if base else ""


def list_of(wire, path, asked, look, seen, under, most):
    """(status, body, key) of a ListObjectsV2 of what begins so under the base path. Raises Unseen."""
    import http.client

    if not asked["sign"]:
        raise Unseen(asked.get("why_not") or "not tried")
    if not asked["tls"] or not AWS_S3.fullmatch(asked["host"].lower()):
        raise Unseen(
            "not tried: the role's credentials are shown to S3 of AWS over TLS only, not to %s" % asked["host"]
        )
    key = look.key(asked["signer"])
    if key is None:
        raise Unseen("not tried: there are no credentials of a role")
    query = {"list-type": "2", "max-keys": str(most)}
    if prefix_of(asked) + under:
        query["prefix"] = prefix_of(asked) + under
    try:
        status, body = send(wire, "GET", path, query, asked, look, seen)
    except (OSError, http.client.HTTPException) as error:
        raise Unseen("S3 gave no answer to the signed list (%s)" % words_of(error))
    return status, body, key


def send(wire, method, path, query, asked, look, seen, content=b"", extra=()):
    """(status, body as text) of one request signed with the role. Raises OSError, http.client.HTTPException, Unseen."""
    # The bucket's own region: what is proven here is the role; the setting's region is REGION-1's matter.
    region = seen["bucket_region"] or asked["region"]
    if not region or not REGION.fullmatch(region):
        raise Unseen("not tried: the bucket's region is not known")
    # By S3's clock, as the SDKs do after a first refusal: a wrong clock is PATH-2's matter.
    now = time.gmtime(time.time() - (seen["clock_offset"] or 0))
    host = asked["host"] if asked["port"] == 443 else "%s:%d" % (asked["host"], asked["port"])
    key = look.key(asked["signer"])
    target, headers = signed(host, path, query, region, key, now, "s3", method, content, extra)
    wire.request(method, target, body=content or None, headers=headers)
    answer = wire.getresponse()
    return answer.status, answer.read(1 << 20).decode("utf-8", "replace")


def answered(status, body, key):
    """A SignedList of one answer."""
    good = status in (200, 204)
    code, message = (None, None) if good else (element("Code", body, key), element("Message", body, key))
    return {"fact": "SignedList", "status": status, "code": code, "message": message}


def marker(wire, path, asked, look, seen):
    """The Marker: put, read back, deleted; and deleted too where it is not known whether the put has gone through."""
    import http.client

    wanted, key = asked["marker"], look.key(asked["signer"])
    content = b"es-preflight: delete me"
    value = {"key": wanted["key"], "put": None, "get": None, "delete": None, "left": False}
    at = path.rstrip("/") + "/" + wanted["key"]

    def step(method, body=b"", extra=()):
        try:
            status, text = send(wire, method, at, {}, asked, look, seen, body, extra)
        except (OSError, http.client.HTTPException, Unseen) as error:
            wire.close()
            return {"fact": "SignedList", "status": 0, "code": None, "message": "no answer (%s)" % words_of(error)}
        said = answered(status, text, key)
        if method == "GET" and status == 200 and text.encode("utf-8") != content:
            said.update(code="OtherContent", message="what was read is not what was written")
        return said

    value["put"] = step("PUT", content, wanted["headers"].items())
    if value["put"]["status"] == 200:
        value["get"] = step("GET")
    elif value["put"]["status"] != 0:
        return value
    value["delete"] = step("DELETE")
    value["left"] = value["delete"]["status"] not in (200, 204)
    return value


def element(name, body, key):
    """Text of an XML element, without any part of the key whatever S3 chose to repeat."""
    from xml.sax.saxutils import unescape

    match = re.search("<%s>([^<]{1,500})</%s>" % (name, name), body)
    if not match:
        return None
    text = unescape(match.group(1), {"&quot;": '"', "&apos;": "'"})
    for part in key:
        text = text.replace(part, "(removed)")
    return re.sub(r"\b(A[A-Z]{3})[A-Z0-9]{12,}\b", r"\1...", text)


def signed(host, path, query, region, key, now, service="s3", method="GET", content=b"", extra=()):
    """(request target, headers) under Signature Version 4. extra: more headers, in lower case."""
    import hashlib
    import hmac
    from urllib.parse import quote

    identity, secret, token = key
    stamp = time.strftime("%Y%m%dT%H%M%SZ", now)
    scope = "%s/%s/%s/aws4_request" % (stamp[:8], region, service)
    path = quote(path, safe="/-_.~")
    text = "&".join("%s=%s" % (quote(name, safe="-_.~"), quote(query[name], safe="-_.~")) for name in sorted(query))
    digest = hashlib.sha256(content).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp, "x-amz-security-token": token}
    headers.update(extra)
    names = ";".join(sorted(headers))
    lines = [method, path, text] + ["%s:%s" % (name, headers[name]) for name in sorted(headers)] + ["", names, digest]
    request = hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
    signer = ("AWS4" + secret).encode("utf-8")
    for part in scope.split("/"):
        signer = hmac.new(signer, part.encode("utf-8"), hashlib.sha256).digest()
    plain = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, request])
    signature = hmac.new(signer, plain.encode("utf-8"), hashlib.sha256).hexdigest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        identity,
        scope,
        names,
        signature,
    )
    return path + ("?" + text if text else ""), headers
