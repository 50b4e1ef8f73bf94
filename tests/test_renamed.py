"""Names of version 0.1: they still work, with a word on what stands for them now, or the error says it."""

import json
import tomllib
import warnings
from pathlib import Path

import pytest

import perfmodel
from perfmodel import estimate, find_model
from perfmodel.errors import OldNameWarning
from perfmodel.specifications.renamed import GONE, RENAMED

ASK = ("llama-3.1-8b", "h100-sxm")
# What a user of 0.1 may have written down, by kind.
OLD = tomllib.loads((Path(__file__).parent / "data" / "names_of_0_1.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("what", "name"), RENAMED)
def test_a_name_works_and_says_what_stands_for_it(run, what, name):
    now = RENAMED[what, name].now.split()
    for form in ("--json", "--csv"):
        old, new = run("estimate", *ASK, what, name, form), run("estimate", *ASK, *now, form)
        assert (old.code, new.code, new.err) == (0, 0, "")
        assert old.err == (
            f"perfmodel: note: {what} {name} is {' '.join(now)} now; the old name goes with version"
            f" {RENAMED[what, name].until}\n"
        )
        if form == "--json":
            shown = [json.loads(one.out) for one in (old, new)]
            # A profile after counts as software of its own, so that the range of the gain is wider.
            for key in ("before", "after", "speedup"):
                figure = "value" if key == "speedup" else "time_per_step"
                assert shown[0][key][figure] == shown[1][key][figure]


def test_a_sweep_says_it_once(run):
    answer = run("sweep", *ASK, "--batch", "1:64:x2", "--profile", "server", "--context", "1k,2k")
    assert answer.code == 0
    assert answer.err.count("is --software server-2025 now") == 1


def test_python_warns_where_it_is_called():
    """As of the caller's own line, so that Python shows it to who runs that program."""
    with pytest.warns(OldNameWarning, match="--profile server is --software server-2025 now") as told:
        answer = estimate(*ASK, profile="server")
    assert told[0].filename == __file__
    assert issubclass(OldNameWarning, DeprecationWarning)
    assert answer.before.time_per_step == estimate(*ASK, software="server-2025").before.time_per_step
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate(*ASK, profile="vllm")


@pytest.mark.parametrize("name", GONE)
def test_an_attribute_that_went_says_what_stands_for_it(name):
    _, _, attribute = name.partition(".")
    with pytest.raises(AttributeError, match=f"has no {attribute} since version 0.2; see recipe"):
        getattr(find_model("llama-3.1-8b"), attribute)
    with pytest.raises(AttributeError, match="'Model' object has no attribute 'nonsense'"):
        find_model("llama-3.1-8b").nonsense  # noqa: B018


def test_old_names_go_with_a_later_version_than_this():
    now = tuple(map(int, perfmodel.__version__.split(".")[:2]))
    assert all(tuple(map(int, renamed.until.split("."))) > now for renamed in RENAMED.values())


def test_the_documents_list_them(repository):
    section = (repository / "CHANGELOG.md").read_text(encoding="utf-8").partition("### Deprecated")[2]
    section = " ".join(section.partition("\n## ")[0].partition("\n### ")[0].split())
    for (what, name), renamed in RENAMED.items():
        assert f"`{what} {name}`" in section
        assert f"`{renamed.now}`" in section
    for name in GONE:
        assert f"`{name}`" in section


# All other names of 0.1 are taken as they were.


@pytest.mark.parametrize("command", OLD["commands"])
def test_options_of_0_1(command):
    import typer

    from perfmodel._layout import load_command_line

    cli = load_command_line()
    cli.register_commands()
    found = typer.main.get_command(cli.app)
    for word in command.split():
        found = found.commands[word]
    options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert set(OLD["commands"][command]) <= options


@pytest.mark.parametrize("line", OLD["json"])
def test_keys_and_columns_of_0_1(run, line):
    def keys(value, before=""):
        if isinstance(value, dict):
            for key, one in value.items():
                yield f"{before}{key}"
                yield from keys(one, f"{before}{key}.")
        elif isinstance(value, list):
            for one in value:
                yield from keys(one, f"{before}[].")

    shown = run(*line.split(), "--json").out
    answer = [json.loads(one) for one in shown.splitlines()] if line.startswith("sweep") else json.loads(shown)
    assert set(OLD["json"][line]) <= set(keys(answer))
    header = run(*line.split(), "--csv").out.splitlines()[0].split(",")
    assert set(OLD["csv"][line]) <= set(header)


def test_arguments_of_0_1():
    for name, arguments in OLD["python"].items():
        function = getattr(perfmodel, name)
        given = dict.fromkeys(set(arguments) - {"models", "model", "hardware"})
        given |= {"batch": 1, "context": 4096} if "batch" in given else {}
        given |= {"after": "looped"} if "after" in given else {}
        given |= {"unknown": "boundary", "target": "speedup=1.2"} if name == "solve" else {}
        given = {key: value for key, value in given.items() if value is not None or key in ("kv", "weights", "before")}
        assert function(*ASK, **given) is not None


@pytest.mark.parametrize("kind", ["hardware", "models"])
def test_names_of_the_catalogue_of_0_1(kind):
    from perfmodel.specifications.catalogue import is_catalogued

    assert [name for name in OLD["catalogue"][kind] if not is_catalogued(kind, name)] == []


def test_keys_of_device_files_of_0_1():
    from perfmodel.specifications.parameters import lookup

    assert [key for key in OLD["catalogue"]["keys"] if lookup(key) is None] == []


def test_pictures_formats_modes_and_profiles_of_0_1():
    from perfmodel.report.pictures.kinds import KINDS
    from perfmodel.specifications.parameters import MODES
    from perfmodel.specifications.profiles import profile_names
    from perfmodel.specifications.storage import read_weights

    assert set(OLD["catalogue"]["pictures"]) <= set(KINDS)
    assert set(OLD["catalogue"]["modes"]) <= set(MODES)
    assert set(OLD["catalogue"]["profiles"]) <= set(profile_names())
    assert all(read_weights(name, "x") for name in OLD["catalogue"]["formats"])
