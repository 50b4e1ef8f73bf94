"""What a build adds: cli.py inside the wheel, and a README whose links hold where there is no repository around it."""

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

# Links and pictures of files beside the README; a picture is left out, of a link the words stay.
_PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?://)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)[^)]*\)")


class MoveCommandLine(BuildHookInterface):  # type: ignore[type-arg]
    """cli.py moves into the package only when a real wheel is built; an editable install reads the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build_data["force_include"]["cli.py"] = "perfmodel/cli.py"


class ReadmeForAnIndex(MetadataHookInterface):
    """The README as a package index shows it: without links to files that are not there."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        whole = _LINK.sub(r"\1", _PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": whole}
