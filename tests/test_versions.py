"""The weekly run: no pin keeps a version back, Colab's list is compared with ours, and what it finds is told."""

import re

import pytest
import yaml

from tools import notebooks as tool
from tools.versions import COLAB, differences, loosened, main, versions

FREEZE = """# python3 -m pip freeze
pyparsing==3.3.2
Rouge.Score==0.1.2
torch==2.11.0+cu128
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
tqdm==4.67.3
"""


def workflow(name):
    text = (tool.ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)  # which leaves `on` a text; YAML's first version reads it as a boolean


def test_every_pin_is_taken_off_whatever_its_name():
    pinned = "# a==b\npytest-xdist==3.8.0     # cores\nrouge_score==0.1.2\nImageHash==4.3.2\nh5py[a]==1rc1\n-e .\n"
    assert loosened(pinned) == "# a==b\npytest-xdist     # cores\nrouge_score\nImageHash\nh5py[a]\n-e .\n"


@pytest.mark.parametrize("line", ["name == 1.0", "name>=1,==1.*", "  name==1", "name===1"])
def test_a_pin_that_is_left_is_an_error(line):
    with pytest.raises(SystemExit, match=re.escape(line)):
        loosened(f"other==2\n{line}  # why\n")


def test_the_weekly_run_loosens_all_that_setup_installs(tmp_path):
    [asked] = re.findall(r"tools\.versions loosen (.+?)'", str(workflow("weekly")["jobs"]["newest"]["steps"]))
    rule = re.search(r"^\$\(READY\): .*?\n\n", (tool.ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert asked.split() == re.findall(r"-r (\S+)", rule[0])
    for name in asked.split():
        (tmp_path / name).write_text((tool.ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
        main("loosen", str(tmp_path / name))
        assert "==" not in re.sub("#.*", "", (tmp_path / name).read_text(encoding="utf-8"))


def test_other_versions_in_colab_are_told_by_name_and_torch_is_not():
    pins = "pyparsing==3.3.2  # warns\nrouge_score==0.1.2\ntorch==2.13.0\ntqdm==4.67.1\npeft==0.20.0\n"
    assert differences(pins, FREEZE) == [("tqdm", "4.67.1", "4.67.3"), ("peft", "0.20.0", "not listed")]


def test_the_table_of_differences_is_empty_where_there_are_none(tmp_path, capsys):
    freeze = tmp_path / "freeze.txt"
    pins = COLAB.read_text(encoding="utf-8")
    freeze.write_text(pins.replace("torch==", "torch==1."), encoding="utf-8")
    main("colab", str(freeze))
    assert capsys.readouterr().out == ""
    freeze.write_text(pins.replace("datasets==", "datasets==1."), encoding="utf-8")
    main("colab", str(freeze))
    version = versions(pins)["datasets"]
    assert capsys.readouterr().out.splitlines()[2:] == [f"| datasets | {version} | 1.{version} |"]


def test_a_schedule_that_github_switches_off_takes_no_other_run_along():
    assert "schedule" in workflow("weekly")["on"]
    assert set(workflow("ci")["on"]) == {"push", "pull_request"}


def test_only_the_report_may_write_and_it_waits_for_all_others():
    jobs = workflow("weekly")["jobs"]
    granted = [workflow(name)["permissions"] for name in ("ci", "weekly")]
    assert granted == [{"contents": "read"}] * 2
    asked = {name: job["permissions"] for name, job in (jobs | workflow("ci")["jobs"]).items() if "permissions" in job}
    assert asked == {"report": {"issues": "write"}}
    assert set(jobs["report"]["needs"]) == set(jobs) - {"report"}
