"""What --hosts and an inventory mean, and what is said where they mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from testinfra.backend import BACKENDS
from testinfra.backend.base import BaseBackend

from preflight.connection import ssm_spec
from preflight.inventory import Defaults, InventoryError, Node, expand, node_from_hostspec, split_address
from preflight.inventory.yaml_file import expand_range, read_inventory

FILE = """\
all:
  vars:
    ansible_user: admin
    preflight_es_user: preflight
    nobody_knows_this: "{{ template }}"
  children:
    elasticsearch:
      vars:
        preflight_ssh_config: ssh/config
        ansible_user: elastic
      children:
        data:
          hosts:
            es-[1:3]:
            es-4:
              ansible_host: 10.0.0.4
              ansible_port: 2222
        masters:
          vars: {ansible_become: true, ansible_become_user: root}
          hosts: {es-m1: {ansible_user: boss}}
    empty: {}
web:
  hosts:
    www-[a:b]-[01:02]:
"""


@pytest.fixture(scope="module", autouse=True)
def without_ansible():
    """What our own reader does; test_ansible.py has Ansible."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("preflight.inventory.ansible.tool", lambda: None)
        yield


@pytest.fixture
def inventory(tmp_path) -> Path:
    (tmp_path / "ssh").mkdir()
    (tmp_path / "ssh/config").write_text("")
    (tmp_path / "password").write_text("secret")
    path = tmp_path / "lab.yml"
    path.write_text(FILE)
    return path


def names(hosts: str, inventory: Path | None = None) -> list[str]:
    return [node.name for node in expand(hosts, inventory, Defaults())]


def refusal(hosts: str | None, inventory: Path | None = None, **defaults: object) -> str:
    with pytest.raises(InventoryError) as caught:
        expand(hosts, inventory, Defaults(**defaults))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Hostspecs


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ("es-1", Node(name="es-1", host="es-1")),
        ("admin@es-1:2222", Node(name="es-1", host="es-1", port=2222, user="admin")),
        ("10.0.0.1", Node(name="10.0.0.1", host="10.0.0.1")),
        ("[fe80::1%eth0]:22", Node(name="fe80::1%eth0", host="fe80::1%eth0", port=22)),
        ("admin@[::1]", Node(name="::1", host="::1", user="admin")),
        ("first.last@es", Node(name="es", host="es", user="first.last")),
        ("paramiko://es-1", Node(name="es-1", host="es-1")),
        ("ssh://admin@es-1:2222", Node(name="es-1", host="es-1", carrier="ssh", port=2222, user="admin")),
        ("paramiko://u:p%40%2C%3A@es-1:22", Node(name="es-1", host="es-1", port=22, user="u", password="p@,:")),
        (
            "paramiko://es-1?sudo=True&sudo_user=es&timeout=2.5",
            Node(name="es-1", host="es-1", sudo=True, sudo_user="es", connect_timeout=2.5),
        ),
    ],
)
def test_a_hostspec_is_read_as_testinfra_reads_it(spec, node):
    assert node_from_hostspec(spec, Defaults()) == node
    theirs = BaseBackend.parse_hostspec(spec.removeprefix("paramiko://").removeprefix("ssh://").partition("?")[0])
    assert (theirs.name, theirs.user, theirs.password) == (node.host, node.user, node.password)
    assert (theirs.port and int(theirs.port)) == node.port


def test_several_hosts_keep_their_order_and_spaces_do_not_count():
    assert names(" es-2, es-1 ,,es-3") == ["es-2", "es-1", "es-3"]


def test_ranges_need_no_inventory():
    assert names("admin@es-[09:11]") == ["es-09", "es-10", "es-11"]


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (None, "no hosts: add --hosts=NAME[,NAME...], or --inventory=FILE with --hosts=GROUP"),
        ("", "no hosts: add --hosts="),
        (" , ", "no hosts: add --hosts="),
        ("ssh://u:p@es-1", "es-1 has a password, and ssh:// never types one"),
        ("local://", "local:// does not yet reach nodes: write paramiko://HOST"),
        ("docker://es", "docker:// does not yet reach nodes: write paramiko://HOST"),
        ("ssm://i-1", "ssm://i-1 is no instance id: write ssm://i-0123456789abcdef0?region=REGION"),
        ("ssm://admin@i-0123456789abcdef0", "ssm://i-0123456789abcdef0 takes no user, password or port"),
        ("ssm://i-0123456789abcdef0?timeout=3", "?timeout= of i-0123456789abcdef0 means nothing here"),
        ("ssm://i-0123456789abcdef0?region=eu$(id)", "?region=eu$(id) of i-0123456789abcdef0 is no region's name"),
        ("http://es-1:9200", "names no connection there is: write paramiko://HOST"),
        ("paramiko://es-1?region=eu", "?region= of es-1 means nothing here: did you mean"),
        ("paramiko://es-1?sudo_usr=x", "did you mean ?sudo_user=?"),
        ("paramiko://es-1?sudo=maybe", "?sudo= of es-1 is 'maybe': write true or false"),
        ("paramiko://es-1?sudo_user=x", "sudo_user=x of es-1 does nothing without sudo=true"),
        ("paramiko://es-1?sudo=false&sudo_user=x", "contradicts sudo=false"),
        ("paramiko://es-1?timeout=0", "?timeout of es-1 is '0': write seconds, more than 0"),
        ("paramiko://es-1?timeout=nan", "write seconds"),
        ("paramiko://es-1?sudo", "is no hostspec"),
        ("paramiko://es-1?timeout=1&timeout=2", "?timeout= of es-1 is given twice"),
        ("paramiko://es-1?ssh_config=/no/such", "?ssh_config of es-1=/no/such: there is no such file"),
        ("paramiko://es-1/path", "only ?KEY=VALUE may follow the host"),
        ("paramiko://", "is no host name or address"),
        ("::1", "put the IPv6 address in brackets: [::1]"),
        ("[::1", "is no host"),
        ("[es-1]", "'es-1' is no host name or address"),
        ("es-1:0", "port 0 of es-1 is not between 1 and 65535"),
        ("es-1:99999", "port 99999 of es-1 is not between"),
        ("es-1:ssh", "is no host"),
        ("@es-1", "is no host"),
        ("-oProxyCommand=x", "is no host name or address"),
        ("es-1;reboot", "is no host name or address"),
        ("$(id)@es-1", "is no user name to log in to es-1 with"),
        ("es-*", "es-* in --hosts does not match anything: it needs --inventory=FILE"),
        ("all:!es-1", "! and & are not read"),
        ("es-[3:1]", "[3:1] in es-[3:1] is no range"),
        ("es-[01:100]", "need the same number of digits"),
        ("es-[1:99999]", "names more than 10000 hosts"),
        ("es-[1:200]-[1:200]", "names more than 10000 hosts"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(hosts, said):
    assert said in refusal(hosts)


@pytest.mark.parametrize(
    "spec", ["u:canary@b c", "paramiko://u:canary@h/x", "paramiko://u:can/ary@h", "x://u:canary@h"]
)
def test_a_password_is_in_no_message_and_no_repr(spec):
    said = refusal(spec)
    assert "canary" not in said
    assert "ary@" not in said
    node = node_from_hostspec("paramiko://u:canary@h", Defaults())
    assert node.password == "canary"
    assert "canary" not in f"{node!r} {node} {[node]}"


@given(st.text(max_size=40))
@example("paramiko://[::1")
@example("paramiko://a?sudo=%ff")
@example("a@b:@c")
@example("[[:]]")
@example("[1:2]" * 9)
@example("\x00")
@example("paramiko://h?ssh_config=%00")
@example("paramiko://h?ssh_config=~nobody-there/x")
def test_any_text_is_nodes_or_a_refusal(text):
    try:
        nodes = expand(text, None, Defaults())
    except InventoryError as error:
        assert "\n" not in str(error)
    else:
        assert nodes
        assert all(node.host and node.host.isprintable() and not node.host.startswith("-") for node in nodes)
        assert len({node.name for node in nodes}) == len(nodes)


HOSTSPEC_PARTS = st.lists(
    st.sampled_from(
        [
            "paramiko://",
            "es-1",
            "user",
            ":",
            "@",
            "[",
            "]",
            "::1",
            "22",
            "?",
            "sudo=true",
            "&",
            "=",
            "%41",
            "%",
            ",",
            "*",
        ]
    ),
    max_size=9,
)


@given(HOSTSPEC_PARTS)
def test_any_mixture_of_hostspec_parts_is_nodes_or_a_refusal(parts):
    test_any_text_is_nodes_or_a_refusal.hypothesis.inner_test("".join(parts))


def test_every_backend_of_testinfra_but_three_is_refused():
    # ssm is our own, there once anything of this process has registered it.
    for scheme in set(BACKENDS) - {"paramiko", "ssh", "ansible", "ssm"}:
        assert refusal(f"{scheme}://es-1").startswith(f"{scheme}:// does not yet reach nodes")


# Names and targets


def test_the_same_target_twice_is_one_node():
    assert names("es-1,es-2,es-1,paramiko://es-1") == ["es-1", "es-2"]


def test_one_name_for_two_targets_is_told_apart():
    assert names("127.0.0.1:2201,127.0.0.1:2202,es-1") == ["127.0.0.1:2201", "127.0.0.1:2202", "es-1"]
    assert names("[::1]:1,[::1]:2") == ["[::1]:1", "[::1]:2"]
    assert names("a@es-1,b@es-1") == ["a@es-1", "b@es-1"]
    assert names("es-1,es-1:2222") == ["es-1", "es-1:2222"]


def test_two_names_for_one_target_are_one_node(inventory):
    inventory.write_text("all: {hosts: {a: {ansible_host: 10.0.0.1}, b: {ansible_host: 10.0.0.1}}}")
    assert names("all", inventory) == ["a"]


def test_two_elasticsearch_processes_of_a_host_are_two_nodes(inventory):
    inventory.write_text(
        "all: {vars: {ansible_host: es-1}, hosts: {a: {preflight_es_port: 9200}, b: {preflight_es_port: 9201}}}"
    )
    nodes = expand("all", inventory, Defaults())
    assert [(node.name, node.host, node.es_port) for node in nodes] == [("a", "es-1", 9200), ("b", "es-1", 9201)]
    inventory.write_text("all: {hosts: {a: {preflight_es_port: 92000}}}")
    with pytest.raises(InventoryError, match="preflight_es_port of a is '92000', not a port between 1 and 65535"):
        expand("all", inventory, Defaults())


# Inventories


def test_groups_globs_hosts_and_plain_names_mix(inventory):
    assert names("masters,es-[12],data,10.0.0.9", inventory) == [
        "es-m1",
        "es-1",
        "es-2",
        "es-3",
        "es-4",
        "10.0.0.9",
    ]
    assert names("www-*-01", inventory) == ["www-a-01", "www-b-01"]
    assert names("mast*", inventory) == ["es-m1"]
    assert names("all", inventory) == [
        "es-1",
        "es-2",
        "es-3",
        "es-4",
        "es-m1",
        "www-a-01",
        "www-a-02",
        "www-b-01",
        "www-b-02",
    ]


def test_child_beats_parent_and_host_beats_group(inventory):
    nodes = {node.name: node for node in expand("all", inventory, Defaults())}
    config = str(inventory.parent / "ssh/config")
    assert nodes["es-1"] == Node(name="es-1", host="es-1", user="elastic", ssh_config=config, es_user="preflight")
    assert (nodes["es-4"].host, nodes["es-4"].port) == ("10.0.0.4", 2222)
    assert (nodes["es-m1"].user, nodes["es-m1"].sudo, nodes["es-m1"].sudo_user) == ("boss", True, "root")
    assert (nodes["www-a-01"].user, nodes["www-a-01"].ssh_config) == ("admin", None)


def test_a_hostspec_beats_the_hosts_variables_and_those_beat_the_command_line(inventory):
    (inventory.parent / "key").write_text("")
    defaults = Defaults(
        ssh_config=str(inventory), identity_file=str(inventory.parent / "key"), sudo=True, sudo_user="x"
    )
    es1, es4, www, master = expand("es-1,me@es-4:22,www-a-01,es-m1", inventory, defaults)
    assert (es1.ssh_config, es1.identity_file, es1.sudo, es1.sudo_user) == (
        str(inventory.parent / "ssh/config"),
        str(inventory.parent / "key"),
        True,
        "x",
    )
    assert (es4.host, es4.user, es4.port) == ("10.0.0.4", "me", 22)
    assert www.ssh_config == str(inventory)
    assert master.sudo_user == "root"
    assert expand("paramiko://es-m1?sudo=false", inventory, defaults)[0].sudo is False


def test_later_groups_of_one_depth_win_unless_a_priority_says_otherwise(inventory):
    text = "a: {vars: {ansible_user: a%s}, hosts: {h: }}\nb: {vars: {ansible_user: b}, hosts: {h: }}\n"
    inventory.write_text(text % "")
    assert expand("h", inventory, Defaults())[0].user == "b"
    inventory.write_text(text % ", ansible_group_priority: 10")
    assert expand("h", inventory, Defaults())[0].user == "a"


def test_all_variables_of_ours_are_read_and_files_are_relative_to_the_inventory(inventory, monkeypatch):
    monkeypatch.chdir("/")
    inventory.write_text(
        "all:\n  hosts:\n    es-1:\n      preflight_ssh_config: ssh/config\n      preflight_es_user: u\n"
        "      preflight_es_password_file: password\n      preflight_es_api_key_file: password\n"
        "      preflight_es_ca: password\n      preflight_es_url: https://es:9200\n"
        "      preflight_es_port: 9201\n"
        "      ansible_ssh_private_key_file: password\n"
        "      preflight_static_key_clients: [minio, archive]\n"
        "      preflight_keystore_password_file: password\n"
    )
    (node,) = expand("es-1", inventory, Defaults())
    password = str(inventory.parent / "password")
    assert node == Node(
        name="es-1",
        host="es-1",
        ssh_config=str(inventory.parent / "ssh/config"),
        identity_file=password,
        es_user="u",
        es_password_file=password,
        es_api_key_file=password,
        es_ca=password,
        es_port=9201,
        es_url="https://es:9200",
        static_key_clients=("minio", "archive"),
        keystore_password_file=password,
    )


@pytest.mark.parametrize("written", ["[a, b-2]", "'a, b-2'", "[a, b-2, a]", "[a, '', b-2]"])
def test_clients_with_static_keys_are_a_list_or_one_text(inventory, written):
    inventory.write_text(f"all: {{hosts: {{h: {{preflight_static_key_clients: {written}}}}}}}")
    assert expand("h", inventory, Defaults())[0].static_key_clients == ("a", "b-2")


@pytest.mark.parametrize(
    ("variables", "carrier"),
    [
        ("{}", "paramiko"),
        ("{ansible_connection: smart}", "paramiko"),
        ("{ansible_connection: ssh}", "ssh"),
        ("{ansible_connection: ansible.builtin.ssh}", "ssh"),
        ("{ansible_connection: paramiko_ssh}", "paramiko"),
        ("{ansible_connection: ssh, preflight_carrier: paramiko}", "paramiko"),
        ("{preflight_carrier: ssh}", "ssh"),
    ],
)
def test_an_inventory_chooses_the_carrier(inventory, variables, carrier):
    inventory.write_text(f"all: {{hosts: {{h: {variables}}}}}")
    assert expand("h", inventory, Defaults())[0].carrier == carrier
    said = variables not in ("{}", "{ansible_connection: smart}")
    assert expand("h", inventory, Defaults(carrier="ssh"))[0].carrier == (carrier if said else "ssh")
    assert expand("ssh://h", inventory, Defaults())[0].carrier == "ssh"
    assert expand("paramiko://h", inventory, Defaults(carrier="ssh"))[0].carrier == "paramiko"


@pytest.mark.parametrize("arguments", ["-F ssh/config", "-Fssh/config", "'-F \"ssh/config\"'"])
def test_ssh_arguments_may_name_a_config(inventory, arguments):
    inventory.write_text(f"all: {{hosts: {{h: {{ansible_ssh_common_args: {arguments}}}}}}}")
    assert expand("h", inventory, Defaults())[0].ssh_config == str(inventory.parent / "ssh/config")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all: {hosts: {h: {ansible_ssh_common_args: -o StrictHostKeyChecking=no}}}", "only -F FILE and ProxyJump are"),
        ("all: {hosts: {h: {ansible_ssh_common_args: -o ProxyJump}}}", "only -F FILE and ProxyJump are"),
        ("all: {hosts: {h: {ansible_ssh_common_args: -J a b}}}", "only -F FILE and ProxyJump are"),
        ("all: {hosts: {h: {ansible_ssh_common_args: -J 'a;b'}}}", "is no host name or address"),
        ('all: {hosts: {h: {ansible_ssh_common_args: "-F \'ssh"}}}', "only -F FILE and ProxyJump are"),
        ("all: {hosts: {h: {ansible_ssh_extra_args: -F ssh/config -v}}}", "only -F FILE and ProxyJump are"),
        ("all: {hosts: {h: {ansible_connection: docker}}}", "lab.yml:1: ansible_connection of h is docker, not yet"),
        ("all: {hosts: {h: {preflight_carrier: telnet}}}", "preflight_carrier of h is telnet: write paramiko or ssh"),
        ("all: {hosts: {h: {ansible_port: ssh}}}", "is 'ssh', not a port"),
        ("all: {hosts: {h: {ansible_host: a b}}}", "is 'a b', no host name"),
        ('all: {hosts: {h: {ansible_host: "{{ ip }}"}}}', "is a template, which only Ansible fills in"),
        ("all: {hosts: {h: {ansible_user: [a]}}}", "must be plain text"),
        ("all: {hosts: {h: {ansible_user: !vault x}}}", "must be plain text"),
        ("all: {hosts: {h: {ansible_become: true, ansible_become_method: su}}}", "only sudo is known"),
        ("all: {hosts: {h: {preflight_es_password_file: none}}}", "none: there is no such file"),
        (
            "all: {hosts: {h: }, vars: {\n preflight_es_usr: x}}",
            "lab.yml:2: there is no variable 'preflight_es_usr'",
        ),
        ("all: {hosts: {h: {preflight_es_password: x}}}", "did you mean preflight_es_password_file?"),
        ("all: {hosts: {h: {preflight_static_key_clients: [a b]}}}", "'a b' is no name of an S3 client"),
        ("all: {hosts: {h: {preflight_static_key_clients: [{a: b}]}}}", "write a list of names"),
        ("all: {hosts: {h: {preflight_es_url: 'es-1:9200'}}}", "preflight_es_url of h: write it as https://HOST:PORT"),
        ("all: {hosts: {h: {preflight_es_url: 'https://u:p/w@es-1:9200'}}}", "without user and password"),
        ("all:\n  hosts:\n    h:\n    g:\n    h:\n", "lab.yml:5: 'h' is given twice, first on line 3"),
        ("all:\n  hosts: [h]\n", "lab.yml:2: hosts of all must be a mapping"),
        ("all:\n  host: {h: }\n", "lab.yml:2: group all holds 'host'"),
        ("all:\n  hosts: {h: ,\n", "lab.yml:3: not valid YAML"),
        ("[lab]\nh\n", "ansible-inventory -i FILE --list -y"),
        ("[lab]\n", "ansible-inventory -i FILE --list -y"),
        ("h: {hosts: {'es-[1:': }}", "lab.yml:1: 'es-[1:' is no name for a host"),
        ("a: {children: {b: }, hosts: {h: }}\nb: {children: {a: }}", "is a child of itself"),
        ("- &a [*a]", "must be a mapping"),
        ("a b: {hosts: {h: }}", "lab.yml:1: 'a b' is no name for a group"),
        ("a: {hosts: {h h: }}", "lab.yml:1: 'h h' is no name for a host"),
        ("a: {hosts: {-h: }}", "host '-h' of the inventory is no name to log in to"),
    ],
)
def test_an_inventory_that_cannot_be_used_says_where(inventory, text, said):
    inventory.write_text(text)
    assert said in refusal("all" if "-h" in text else "h", inventory)


def test_others_variables_and_values_only_ansible_reads_are_left_alone(inventory):
    inventory.write_text("all: {hosts: {h: {secret: !vault x, port: [1], day: 2024-01-01, path: '{{ x }}'}}}")
    assert names("h", inventory) == ["h"]


def test_groups_and_globs_that_match_nothing_are_refused(inventory):
    assert "group empty of the inventory has no hosts" in refusal("empty", inventory)
    assert "es-9* in --hosts does not match the inventory's 9 hosts" in refusal("es-9*", inventory)
    assert "a group, glob or host of" in refusal(None, inventory)
    assert "(groups: all, data, elasticsearch, empty, masters, web)" in refusal("", inventory)


def test_a_name_that_the_inventory_lacks_is_no_host(inventory):
    """A mistyped group would else be a node that cannot be reached."""
    assert "mastres in --hosts is neither a host nor a group of the inventory: did you mean masters?" in refusal(
        "mastres", inventory
    )
    assert "es-5 in --hosts is neither a host nor a group" in refusal("es-[1:9]", inventory)
    assert "groups: all, data, elasticsearch, empty, masters, web; a host outside of it is paramiko://x" in refusal(
        "x", inventory
    )
    for host in ("paramiko://mastres", "me@mastres", "mastres:22", "10.0.0.1", "[::1]"):
        assert len(names(host, inventory)) == 1
    assert names("mastres") == ["mastres"]


@pytest.mark.parametrize(
    "arguments",
    ["-J boss@bastion:2222", "-o ProxyJump=boss@bastion:2222", "-oProxyJump=boss@bastion:2222", "-o 'ProxyJump x'"],
)
def test_ssh_arguments_may_name_jump_hosts(inventory, arguments):
    tuned = f"-C -o ControlMaster=auto -o ControlPersist=60s {arguments}"
    inventory.write_text(f'all: {{hosts: {{h: {{ansible_ssh_common_args: "{tuned}"}}}}}}')
    assert expand("h", inventory, Defaults())[0].proxy_jump == ("x" if "x'" in arguments else "boss@bastion:2222")


def test_a_config_of_ours_beats_ansibles_arguments(inventory):
    """Ansible needs them, and what the refusal advises must be possible beside them."""
    inventory.write_text(
        "all: {hosts: {h: {ansible_ssh_common_args: -o StrictHostKeyChecking=no, preflight_ssh_config: ssh/config}}}"
    )
    assert expand("h", inventory, Defaults())[0].ssh_config == str(inventory.parent / "ssh/config")


def test_files_that_are_not_there_are_named(inventory, tmp_path):
    assert f"cannot read --inventory={tmp_path}/none: No such file" in refusal("h", tmp_path / "none")
    assert "is a directory, which only ansible-inventory reads: install Ansible" in refusal("h", tmp_path)
    assert "--ssh-config=/none: there is no such file" in refusal("h", ssh_config="/none")
    assert "--ssh-identity-file=/none: there is no such file" in refusal("h", identity_file="/none")
    (tmp_path / "latin").write_bytes(b"all: \xff")
    assert "it is not UTF-8 text" in refusal("h", tmp_path / "latin")


def test_sudo_user_without_sudo_is_refused(inventory):
    assert "--sudo-user=es does nothing without --sudo" in refusal("h", sudo_user="es")
    assert expand("es-m1,es-1", inventory, Defaults(sudo_user="es"))[1].sudo_user is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "all",
                        "hosts",
                        "vars",
                        "children",
                        "h",
                        "es-[1:2]",
                        "ansible_host",
                        "ansible_port",
                        "preflight_es_url",
                    ]
                ),
                children,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_yaml_is_an_inventory_or_a_refusal(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yml"
    path.write_text(yaml.safe_dump(value))
    try:
        known = read_inventory(path)
        for host in known.hosts:
            expand(host, path, Defaults())
    except InventoryError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("pattern", "count", "last"),
    [
        ("es-[1:3]", 3, "es-3"),
        ("es-[08:11]", 4, "es-11"),
        ("[a:c]x[1:5:2]", 9, "cx5"),
        ("plain", 1, "plain"),
        ("[0:0]", 1, "0"),
    ],
)
def test_ranges_are_ansibles(pattern, count, last):
    found = expand_range(pattern, "here")
    assert (len(found), found[-1]) == (count, last)


def test_addresses_of_jump_hosts_are_read_the_same_way():
    assert split_address("a@[::1]:22") == ("::1", 22, "a")
    assert split_address("bastion") == ("bastion", None, None)


def test_a_node_over_ssm_is_its_instance_with_region_and_profile():
    (node,) = expand("ssm://i-0123456789abcdef0?region=eu-west-1&profile=ops", None, Defaults(sudo=True))
    assert node == Node(name="i-0123456789abcdef0", host="i-0123456789abcdef0", carrier="ssm", region="eu-west-1",
                        profile="ops")  # fmt: skip


def test_over_ssm_commands_are_roots_already_so_sudo_is_for_another_user_alone():
    (node,) = expand("ssm://i-0123456789abcdef0", None, Defaults(sudo=True, sudo_user="elasticsearch"))
    assert (node.sudo, node.sudo_user) == (True, "elasticsearch")


def test_what_writes_a_hostspec_of_an_instance_is_read_back(tmp_path):
    text = ssm_spec.spec("mi-0123456789abcdef0", "eu-west-1", "ops")
    (node,) = expand(text, None, Defaults())
    assert (node.host, node.region, node.profile) == ("mi-0123456789abcdef0", "eu-west-1", "ops")


def test_an_inventorys_ssm_connection_names_the_instance(tmp_path):
    path = tmp_path / "lab.yml"
    path.write_text(
        "all: {hosts: {es-1: {ansible_connection: amazon.aws.aws_ssm, ansible_aws_ssm_region: eu-west-1,"
        " ansible_aws_ssm_instance_id: i-0123456789abcdef0, preflight_es_user: preflight}}}"
    )
    (node,) = expand("all", path, Defaults())
    assert node == Node(name="es-1", host="i-0123456789abcdef0", carrier="ssm", region="eu-west-1",
                        es_user="preflight")  # fmt: skip
