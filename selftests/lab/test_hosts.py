"""The lab's hosts without Elasticsearch, for real: seconds to bring up, everything but the cluster to try."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from suite_run import ON_THE_LAB

from lab import names, state

ROOT = Path(__file__).parent.parent.parent
ES1, ES2 = names.nodes(2)

pytestmark = ON_THE_LAB


def traces():
    """All that a lab could leave on this machine, but for processes that other tests start."""

    def of(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    running = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(names.STATE) in command or "lab-init" in command:
            running.append(command)
    return {
        "links": sorted(line.split()[0] for line in of("ip", "-brief", "link").splitlines()),
        "routes": of("ip", "route", "show", "table", "all"),
        "rules": of("nft", "list", "tables"),
        "mounts": sorted(
            m for m in Path("/proc/mounts").read_text().splitlines() if "eslab" in m or str(names.STATE) in m
        ),
        "loops": of("losetup", "--list", "--noheadings", "--output", "BACK-FILE"),
        "namespaces": of("ip", "netns", "list"),
        "processes": running,
        "state": names.STATE.exists(),
        "inventory": names.INVENTORY.exists(),
    }


def lab(*arguments, timeout=120):
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


def on(node, script, timeout=30):
    """Run a shell script on a node over ssh as anybody would, with the lab's own ssh_config."""
    return subprocess.run(
        ["ssh", "-F", names.SSH_CONFIG, node.name, script], capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture(scope="module")
def clean():
    """What this machine had before, where no lab is up."""
    if state.load() is not None:
        pytest.skip("a lab is up and there is one at a time: `python -m lab down` lets these tests run")
    return traces()


@pytest.fixture(scope="module")
def hosts(clean):
    """Two hosts; taken down afterwards without a trace."""
    done = lab("up", "--nodes", "2", "--without-elasticsearch")
    assert done.returncode == 0, done.stderr
    yield
    done = lab("down")
    assert done.returncode == 0, done.stderr
    assert traces() == clean


@pytest.mark.parametrize("seconds", [0.8, 1.5, 3.0])
def test_an_interrupted_up_leaves_nothing(clean, seconds):
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--nodes", "2", "--without-elasticsearch"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        assert "up: 2 hosts" in said  # it was faster than the signal
        assert lab("down").returncode == 0
    elif process.returncode == -signal.SIGTERM:
        assert not names.RECORD.exists()  # on a busy machine it had not begun
    else:
        assert process.returncode == 130, said
    assert traces() == clean


def test_a_killed_up_is_cleaned_up_by_down(clean):
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--nodes", "2", "--without-elasticsearch"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not names.RECORD.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.8)
    process.kill()
    process.wait()
    assert lab("status").returncode == 1
    assert lab("down").returncode == 0
    assert traces() == clean


def test_a_login_is_a_host_of_its_own(hosts):
    seen = on(ES1, "hostname; id -un; sudo -n id -un; ps -e --no-headers | wc -l; ls /")
    hostname, user, root, processes, *top = seen.stdout.split()
    assert (hostname, user, root) == ("ip-198-18-0-11", "admin", "root")
    assert int(processes) < 20
    assert not {"work", "container_info.json"} & set(top)
    hidden = on(ES1, f"sudo ls -A /root; sudo ls -d {names.STATE} {ROOT} 2>&1").stdout
    assert hidden.count("No such file") == 2 and "/root" not in hidden


def test_root_may_not_log_in_and_an_unknown_host_key_is_noticed(hosts, tmp_path):
    # With a key that would let in: what refuses is sshd's own rule.
    on(ES1, "sudo install -D -m 600 .ssh/authorized_keys /root/.ssh/authorized_keys")
    refused = subprocess.run(
        ["ssh", "-F", names.SSH_CONFIG, "-l", "root", "-o", "BatchMode=yes", "es-1", "true"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert refused.returncode == 255 and "Permission denied" in refused.stderr
    swapped = tmp_path / "known_hosts"
    known = names.KNOWN_HOSTS.read_text().splitlines()
    swapped.write_text(f"{ES1.address},{ES1.name} {known[1].split(' ', 1)[1]}\n")
    changed = subprocess.run(
        ["ssh", "-F", names.SSH_CONFIG, "-o", f"UserKnownHostsFile={swapped}", "es-1", "true"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert changed.returncode == 255 and "HOST IDENTIFICATION HAS CHANGED" in changed.stderr


def test_the_second_host_forbids_forwarding_as_hardened_ones_do(hosts):
    def forwarded(node):
        done = subprocess.run(
            ["ssh", "-F", names.SSH_CONFIG, "-W", "127.0.0.1:22", node.name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        return done.stdout.startswith("SSH-"), "administratively prohibited" in done.stderr

    assert forwarded(ES1) == (True, False)
    assert forwarded(ES2) == (False, True)


def test_aws_answers_under_its_own_names_with_tls_that_the_host_trusts(hosts):
    host = f"{names.BUCKET}.s3.{names.REGION}.amazonaws.com"
    script = f"import urllib.request, urllib.error\ntry: urllib.request.urlopen('https://{host}/', timeout=9)\n"
    script += "except urllib.error.HTTPError as e: print(e.code, e.headers['x-amz-bucket-region'])"
    assert on(ES1, f'python3 -c "{script}"').stdout.split() == ["403", names.REGION]


def test_the_metadata_service_names_the_role_to_who_has_a_token(hosts):
    script = """
    import urllib.request as u
    base = 'http://169.254.169.254/latest/'
    ask = lambda path, **kw: u.urlopen(u.Request(base + path, **kw), timeout=5).read().decode()
    token = ask('api/token', method='PUT', headers={'X-aws-ec2-metadata-token-ttl-seconds': '60'})
    for path in ('instance-id', 'iam/security-credentials/'):
        print(ask('meta-data/' + path, headers={'X-aws-ec2-metadata-token': token}))
    """
    lines = "\n".join(line.strip(" ") if not line.startswith("        ") else line[4:] for line in script.splitlines())
    answer = subprocess.run(
        ["ssh", "-F", names.SSH_CONFIG, ES2.name, "python3 -"], input=lines, capture_output=True, text=True, timeout=30
    )
    assert answer.stdout.split() == [ES2.instance_id, names.ROLE], answer.stderr


def test_names_outside_the_lab_do_not_exist(hosts):
    assert on(ES1, "getent hosts es-2").stdout.split()[0] == ES2.address
    question = rb"\0\1\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1"
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); "
        f"s.sendto({question!r}.decode('unicode_escape').encode('latin-1'), ('{names.DNS}', 53)); "
        "print(s.recv(512)[3] & 15)"
    )
    assert on(ES1, f'python3 -c "{script}"').stdout == "3\n"  # NXDOMAIN: refusing to answer would be another thing


def test_nothing_leaves_the_lab_whichever_way_a_host_points(hosts):
    """Neither the machine's own services nor what is behind it, not even with the controller as gateway."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        own = re.findall(r"inet ([\d.]+)/", subprocess.run(
            ["ip", "-4", "-oneline", "address", "show", "scope", "global"], capture_output=True, text=True
        ).stdout)  # fmt: skip
        assert names.CONTROLLER in own
        tries = "".join(f"timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/{port}' && echo LEAK; " for address in own)
        said = on(ES1, f"{tries} sudo ip route replace default via {names.CONTROLLER}; {tries}"
                       f"sudo ip route replace default via {ES1.subnet.gateway}").stdout  # fmt: skip
        assert "LEAK" not in said
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_address_of_the_lab_that_is_not_up_never_leaves_by_the_machines_gateway(hosts):
    for address in ("198.18.7.7", "198.19.255.1"):
        asked = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True)
        assert asked.returncode != 0 and "Invalid argument" in asked.stderr  # how the kernel says blackhole


def test_the_same_lab_again_is_no_work_and_another_is_refused(hosts):
    again = lab("up", "--nodes", "2", "--without-elasticsearch")
    assert again.returncode == 0 and "already up: 2 hosts without Elasticsearch" in again.stderr
    other = lab("up", "--nodes", "3", "--without-elasticsearch")
    assert other.returncode == 1
    assert "a lab is already up (2 hosts without Elasticsearch" in other.stderr
    assert "`python -m lab down` first" in other.stderr


def test_exec_hands_through_output_and_status(hosts):
    done = lab("exec", "es-2", "--", "sh", "-c", "hostname; exit 7")
    assert (done.returncode, done.stdout) == (7, "ip-198-18-0-12\n")


def test_the_inventory_names_the_hosts(hosts):
    group = yaml.safe_load(names.INVENTORY.read_text())["lab"]
    assert group["hosts"] == {
        "es-1": {"ansible_host": "198.18.0.11", "ansible_aws_ssm_instance_id": ES1.instance_id},
        "es-2": {"ansible_host": "198.18.0.12", "ansible_aws_ssm_instance_id": ES2.instance_id},
    }
    assert group["vars"]["ansible_user"] == "admin" and group["vars"]["ansible_become"] is True


def test_a_host_goes_off_silently_and_comes_back_as_it_was(hosts):
    on(ES2, "echo kept > here")
    assert lab("break", "host-down", "es-2").returncode == 0
    with pytest.raises(TimeoutError):
        socket.create_connection((ES2.address, 22), timeout=1)
    assert "es-2  198.18.0.12  ip-198-18-0-12  off" in lab("status").stdout
    again = lab("break", "host-down", "es-2")
    assert again.returncode == 1 and "already broken" in again.stderr
    assert lab("heal").returncode == 0
    assert on(ES2, "cat here").stdout == "kept\n"


@pytest.mark.parametrize(
    ("fault", "source", "outcome"), [("port-refused", ES2, "refused"), ("port-dropped", ES2, "silence")]
)
def test_a_shut_transport_port_answers_as_it_is_named(hosts, fault, source, outcome):
    listen = "import socket,time; s=socket.create_server(('', 9300)); time.sleep(20)"
    subprocess.run(["ssh", "-F", names.SSH_CONFIG, ES1.name, f'nohup python3 -c "{listen}" >/dev/null 2>&1 &'],
                   timeout=30, check=True)  # fmt: skip
    dial = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{ES1.address}/9300' 2>/dev/null; echo $?"
    answers = {"0": "open", "1": "refused", "124": "silence"}

    def dialled():
        return answers[on(source, dial).stdout.strip()]

    deadline = time.monotonic() + 10
    while dialled() != "open" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert lab("break", fault, "es-1").returncode == 0
    assert dialled() == outcome
    assert lab("heal").returncode == 0
    assert dialled() == "open"
    on(ES1, "kill $(ps -e -o pid=,args= | awk '/create_serve[r]/ {print $1}')")


def test_a_drifted_route_cuts_s3_off_but_not_the_login(hosts):
    dial = f"timeout 6 bash -c 'exec 3<>/dev/tcp/{names.AWS_ADDRESS}/443' 2>/dev/null; echo $?; ip route show default"
    for fault, gateway, statuses in (
        ("route-drift", ES1.subnet.dead_gateway, {"1"}),
        ("route-drift-upstream", ES1.subnet.gateway, {"124"}),
    ):
        assert lab("break", fault, "es-1").returncode == 0
        status, route = on(ES1, dial).stdout.split("\n", 1)
        assert status in statuses and f"via {gateway} " in route
        assert on(ES2, dial).stdout.startswith("0\n")
        assert lab("heal").returncode == 0
        assert on(ES1, dial).stdout.startswith("0\n")
