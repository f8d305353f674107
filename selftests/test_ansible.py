"""Inventories that Ansible reads: its own program on files, scripts and plugins; and what is said without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from preflight.inventory import Defaults, InventoryError, Node, ansible, expand

needs_ansible = pytest.mark.skipif(sys.version_info < (3, 11), reason="ansible-core 2.19 needs Python 3.11")

ROOT = Path(__file__).parents[1]

INI = """\
[logs]
es-1 ansible_host=10.20.1.10
es-2 ansible_host=10.20.1.11

[kibana]
kb-1

[logs:vars]
ansible_user=admin
ansible_port=2222
ansible_become=true
ansible_ssh_private_key_file=key
ansible_ssh_common_args='-o ProxyJump=bastion -o ControlPersist=60s'
preflight_es_user=preflight
"""

SCRIPT = """\
#!%s
print('{"_meta": {"hostvars": {"es-1": {"ansible_host": "10.20.1.10"}}}, "logs": {"hosts": ["es-1"]}}')
"""

COMPOSED = """\
plugin: ansible.builtin.constructed
strict: true
compose:
  ansible_user: "'ad' + 'min'"
  preflight_static_key_clients: "['arch' + 'ive']"
groups:
  searching: true
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """No configuration and no temporary files of the machine's."""
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    (tmp_path / "key").write_text("")


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "hosts.ini"
    path.write_text(INI)
    return path


@pytest.fixture
def dynamic(tmp_path):
    """A directory with a script and a plugin that composes variables, as one with a cloud's plugin is laid out."""
    directory = tmp_path / "dynamic"
    directory.mkdir()
    script = directory / "a_cloud.py"
    script.write_text(SCRIPT % sys.executable)
    script.chmod(0o755)
    (directory / "b_constructed.yml").write_text(COMPOSED)
    return directory


@pytest.fixture
def without_ansible(monkeypatch):
    monkeypatch.setattr(ansible, "tool", lambda: None)


def names(hosts, inventory=None, **how):
    return [node.name for node in expand(hosts, inventory, Defaults(), **how)]


def refusal(hosts, inventory=None, **how):
    with pytest.raises(InventoryError) as caught:
        expand(hosts, inventory, Defaults(), **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# With Ansible


@pytest.mark.parametrize("by_ansible", [True, False])
@needs_ansible
def test_an_ini_inventory_is_read_with_all_that_matters_of_it(ini, by_ansible):
    es1, es2 = expand("logs", ini, Defaults(), by_ansible=by_ansible)
    assert es1 == Node(
        name="es-1",
        host="10.20.1.10",
        port=2222,
        user="admin",
        sudo=True,
        identity_file=str(ini.parent / "key"),
        proxy_jump="bastion",
        es_user="preflight",
    )
    assert es2.host == "10.20.1.11"


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        ("ansible://logs", ["es-1", "es-2"]),
        ("ansible://es-2", ["es-2"]),
        ("ansible://*-1", ["es-1", "kb-1"]),
        ("ansible://", ["es-1", "es-2", "kb-1"]),
        ("ansible://all", ["es-1", "es-2", "kb-1"]),
        ("ansible://kibana,es-1", ["kb-1", "es-1"]),
    ],
)
@needs_ansible
def test_testinfras_way_to_name_hosts_and_groups(ini, hosts, found):
    assert names(hosts, ini, by_ansible=True) == found


@needs_ansible
def test_the_inventory_may_stand_in_the_word_and_so_may_sudo(ini):
    es1, _ = expand(f"ansible://logs?ansible_inventory={ini}&sudo=false", None, Defaults())
    assert (es1.name, es1.user, es1.sudo) == ("es-1", "admin", False)


@needs_ansible
def test_the_carrier_is_the_runs_own(ini):
    """ansible:// says where a host is written, not how it is reached."""
    nodes = expand("ansible://logs", ini, Defaults(carrier="ssh"), by_ansible=True)
    assert {node.carrier for node in nodes} == {"ssh"}


@needs_ansible
def test_the_inventory_may_be_ansibles_own(ini, monkeypatch):
    monkeypatch.chdir(ini.parent)
    (ini.parent / "ansible.cfg").write_text(f"[defaults]\ninventory = {ini}\n")
    assert names("ansible://logs") == ["es-1", "es-2"]


@needs_ansible
def test_what_a_plugin_composed_is_unwrapped(dynamic):
    """ansible-core 2.19 marks such text ({"__ansible_unsafe": ...}), on which testinfra trips."""
    listed = subprocess.run(
        [ansible.tool(), "--list", "-i", dynamic], capture_output=True, text=True, timeout=60, check=True
    )
    assert "__ansible_unsafe" in listed.stdout
    (node,) = expand("searching", dynamic, Defaults(), by_ansible=True)
    assert (node.host, node.user, node.static_key_clients) == ("10.20.1.10", "admin", ("archive",))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"__ansible_unsafe": "x"}, "x"),
        ({"__ansible_unsafe": {"__ansible_unsafe": "x"}}, "x"),
        ([{"__ansible_unsafe": "x"}, 1], ["x", 1]),
        ({"a": {"__ansible_unsafe": "x"}, "b": None}, {"a": "x", "b": None}),
        ({"__ansible_vault": "$ANSIBLE_VAULT;1.1"}, {"__ansible_vault": "$ANSIBLE_VAULT;1.1"}),
    ],
)
@needs_ansible
def test_marks_are_taken_off_at_any_depth(given, found):
    assert ansible.unwrapped(given) == found


@needs_ansible
def test_scripts_plugins_and_directories_need_no_option(dynamic):
    assert names("logs", dynamic) == ["es-1"]
    assert names("logs", dynamic / "a_cloud.py") == ["es-1"]


@needs_ansible
def test_variables_beside_the_inventory_are_ansibles_to_read(tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_text("logs: {hosts: {es-1: }}\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/logs.yml").write_text("ansible_user: admin\n")
    said = []
    assert expand("logs", path, Defaults(), said.append)[0].user is None
    assert said == [f"group_vars beside {path} not read: to have it, give it as --ansible-inventory"]
    assert expand("logs", path, Defaults(), by_ansible=True)[0].user == "admin"


@pytest.mark.parametrize("hosts", ["ansible://lgos", "lgos", "ansible://es-9"])
@needs_ansible
def test_a_pattern_that_matches_nothing_is_refused(ini, hosts):
    assert "neither a host nor a group of the inventory: did you mean" in refusal(hosts, ini, by_ansible=True)


@needs_ansible
def test_what_ansible_says_of_a_broken_inventory_is_shown(tmp_path):
    path = tmp_path / "broken.ini"
    path.write_text("[logs]\nes-1 ansible_port\n")
    said = refusal("logs", path, by_ansible=True)
    assert "ansible-inventory says: " in said and "key=value" in said and str(path) in said


@needs_ansible
def test_a_script_that_fails_is_ansibles_to_tell(dynamic):
    (dynamic / "a_cloud.py").write_text(f"#!{sys.executable}\nraise SystemExit('no token for the cloud')\n")
    assert "no token for the cloud" in refusal("logs", dynamic, by_ansible=True)


@needs_ansible
def test_a_misspelt_variable_of_ours_is_refused(tmp_path):
    path = tmp_path / "hosts.ini"
    path.write_text("[logs]\nes-1 preflight_es_usr=x\n")
    assert f"{path}, host es-1: there is no variable 'preflight_es_usr'" in refusal("logs", path)


# Without Ansible


@pytest.mark.usefixtures("without_ansible")
def test_a_yaml_inventory_needs_no_ansible(tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_text("logs: {hosts: {es-1: {ansible_host: 10.20.1.10}, es-2: }}\n")
    assert names("ansible://logs", path, by_ansible=True) == ["es-1", "es-2"]
    assert names(f"ansible://es-*?ansible_inventory={path}") == ["es-1", "es-2"]


@pytest.mark.usefixtures("without_ansible")
def test_what_only_ansible_reads_says_so(ini, dynamic):
    only = "which only ansible-inventory reads: install Ansible where this suite runs (pip install ansible-core)"
    assert f"{dynamic} is a directory, {only}" in refusal("logs", dynamic)
    assert f"a_cloud.py is a script, {only}" in refusal("logs", dynamic / "a_cloud.py")
    assert f"b_constructed.yml configures an inventory plugin, {only}" in refusal("x", dynamic / "b_constructed.yml")
    assert "an INI inventory becomes YAML with" in refusal("logs", ini, by_ansible=True)
    assert "ansible:// without --ansible-inventory means Ansible's own, which only" in refusal("ansible://logs")


# The program


@needs_ansible
def test_usage_errors_of_the_program(ini, tmp_path):
    def run(*args):
        command = [sys.executable, "-m", "pytest", f"--reports={tmp_path}/reports", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, "tests/test_node.py", *args], cwd=ROOT, capture_output=True, text=True, timeout=120
        )

    none = run(f"--ansible-inventory={ini}", "--hosts=ansible://metrics")
    assert none.returncode == 4 and "matches no host" in none.stderr, none.stdout + none.stderr
    as_ansible = run("--connection=ansible", f"--ansible-inventory={ini}", "--hosts=metrics")
    assert as_ansible.returncode == 4 and "neither a host nor a group" in as_ansible.stderr
    ini.write_text("[logs\n")
    broken = run(f"--ansible-inventory={ini}", "--hosts=logs")
    assert broken.returncode == 4 and "ansible-inventory says:" in broken.stderr
    assert not (tmp_path / "reports").exists()
