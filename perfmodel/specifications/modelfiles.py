"""Read a model from a catalogue TOML, a Hugging Face config.json, or a folder that holds one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import SpecificationError, shown
from perfmodel.specifications.fields import Fields
from perfmodel.specifications.files import is_folder, read_json_object, read_toml, toml_text
from perfmodel.specifications.huggingface import model_from_config
from perfmodel.specifications.huggingface.fields import is_without_work
from perfmodel.specifications.model import Model

if TYPE_CHECKING:
    from perfmodel.specifications.ggufs import Header

_KEYS = (
    "name",
    "title",
    "aliases",
    "origins",
    "null",
    "source",
    "kind",
    "published_parameters",
    "published_parameters_source",
    "published_active",
    "published_total",
    "note",
    "config",
    "gguf",
    "network",
    "blocks",
    "segments",
)
# What ModelOpt writes beside a config.json.
BESIDE = "hf_quant_config.json"
_KINDS = ("read", "secondary", "derived", "assumed")


def load_model(path: Path) -> Model:
    """Return the model at `path`: a .toml of ours, else a config.json or a folder with one.

    Raises SpecificationError with file, key and what would be right.
    """
    if path.suffix == ".toml":
        return _from_toml(path)
    if path.suffix == ".gguf":
        from perfmodel.specifications.ggufmodels import model_from_gguf
        from perfmodel.specifications.ggufs import read_header

        return model_from_gguf(read_header(path), name=path.stem, source=str(path), where=str(path), path=str(path))
    if is_folder(path):
        path = file_of(path)
        if path.suffix == ".gguf":
            return load_model(path)
    from perfmodel.specifications.checkpoints import stored_bytes

    return model_from_config(
        read_config(path),
        name=path.resolve().parent.name or path.stem,
        source=str(path),
        where=str(path),
        path=str(path),
        stored=stored_bytes(path.parent),
    )


def file_of(folder: Path) -> Path:
    """Return the file of a folder that describes its model: config.json, else the .gguf file (or its first part).

    Raises SpecificationError where several .gguf files could be meant.
    """
    config = folder / "config.json"
    if config.exists():
        return config
    found = sorted(path for path in folder.glob("*.gguf") if not path.name.startswith("mmproj"))
    if len(found) > 1 and all("-of-" in path.name for path in found):
        found = found[:1]
    if len(found) > 1:
        raise SpecificationError(f"{folder}: holds {len(found)} .gguf files; name one, such as {found[0]}")
    return found[0] if found else config


def read_config(path: Path) -> dict[str, Any]:
    """Return a config.json with what ModelOpt's file beside it says of the quantisation that the config does not.

    Raises SpecificationError for a file that is no JSON object, or ModelOpt's without its object.
    """
    config, beside = read_json_object(path), path.parent / BESIDE
    if not beside.is_file():
        return config
    said = read_json_object(beside).get("quantization")
    if not isinstance(said, dict):
        raise SpecificationError(f"{beside}: has no object quantization, in which ModelOpt says what it converted")
    own = config.get("quantization_config")
    if own is None:
        return config | {"quantization_config": {"quant_method": "modelopt"} | said}
    # Both say the same, but older configs leave the cache out.
    cache = {key: said[key] for key in ("kv_cache_quant_algo",) if isinstance(own, dict) and key in said}
    return config | {"quantization_config": cache | own} if cache else config


def model_toml(config: dict[str, Any], *, name: str, source: str) -> str:
    """Return the text of a model file that holds `config` as it is, once it reads as a model.

    Keys whose value is null, which TOML cannot hold, are listed by name. Raises SpecificationError when the config is
    not understood.
    """
    model_from_config(config, name=name, source=source, where=source)
    head: dict[str, Any] = {"name": name, "title": name, "source": source, "kind": "read"}
    if empty := list(_null_keys(config)):
        head["null"] = empty
    return toml_text(head | {"config": _without_null(config)})


def gguf_toml(header: "Header", *, name: str, source: str) -> str:
    """Return the text of a model file that holds the header of a GGUF file, once it reads as a model."""
    from perfmodel.specifications.ggufmodels import model_from_gguf
    from perfmodel.specifications.gguftables import table_from_header

    model_from_gguf(header, name=name, source=source, where=source)
    head = {"name": name, "title": name, "source": source, "kind": "read"}
    return toml_text(head | {"gguf": table_from_header(header)})


def _null_keys(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the dotted names of the keys whose value is null."""
    for key, value in table.items():
        if value is None and not is_without_work(key):
            yield path + key
        elif isinstance(value, dict) and key not in ("quantization_config", "compression_config"):
            yield from _null_keys(value, f"{path}{key}.")


def _with_nulls(config: dict[str, Any], names: Sequence[str], path: Path) -> dict[str, Any]:
    """Return the config of a model file with the keys that its published form states as null."""
    for name in names:
        table = config
        *parents, key = name.split(".")
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise SpecificationError(f"{path}: null: {shown(name)}: {parent} is not a table")
        if table.setdefault(key, None) is not None:
            raise SpecificationError(f"{path}: null: {shown(name)} has a value in [config]")
    return config


def _without_null(value: Any) -> Any:
    """Return what a JSON file says in what TOML can say, which has no null."""
    if isinstance(value, dict):
        return {key: _without_null(held) for key, held in value.items() if held is not None}
    return [_without_null(held) for held in value if held is not None] if isinstance(value, list) else value


def _from_toml(path: Path) -> Model:
    raw = read_toml(path)
    fields = Fields(raw, str(path))
    fields.only(_KEYS, "a model file")
    for key in ("name", "source", "kind"):
        if not fields.has(key):
            raise SpecificationError(f"{path}: has no {key}; a model file states its name, source and kind")
    name, source = fields.text("name"), fields.text("source")
    fields.choice("kind", _KINDS)
    config = raw.get("config")
    shapes = [key for key in ("config", "gguf", "network") if key in raw]
    if len(shapes) != 1 or not (shapes == ["network"] or isinstance(raw[shapes[0]], dict)):
        raise SpecificationError(
            f"{path}: needs either a table [config] with the keys of the model's config.json or a table [network] with"
            " its [[segments]], or [gguf] with the header of a GGUF file"
        )
    if shapes != ["network"] and (other := [key for key in ("blocks", "segments") if key in raw]):
        raise SpecificationError(f"{path}: {other[0]}: belongs to a [network], and there is a [{shapes[0]}]")
    if isinstance(config, dict):
        config = _with_nulls(config, fields.texts("null") or [], path)
    note = fields.text("note", "")
    described = {
        "name": name,
        "source": source,
        "title": fields.text("title", name),
        "published_parameters": fields.integer("published_parameters", most=10**15, required=False),
        "aliases": tuple(fields.texts("aliases") or ()),
        "origins": tuple(fields.texts("origins") or ()),
        "notes": (note,) if note else (),
        "path": str(path),
    }
    if shapes == ["gguf"]:
        from perfmodel.specifications.ggufmodels import model_from_gguf
        from perfmodel.specifications.gguftables import header_from_table

        where = f"{path}: gguf"
        return model_from_gguf(header_from_table(raw["gguf"], where), where=where, **described)
    if isinstance(config, dict):
        return model_from_config(config, where=f"{path}: config", **described)
    from perfmodel.specifications.networks import model_from_network

    return model_from_network(raw, str(path), **described)
