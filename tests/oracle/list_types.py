"""Write types.csv, every model_type of the library's maps and whether it is answered,
and the list in docs/models.md."""

import json
import re
import textwrap
from pathlib import Path

from perfmodel.specifications.huggingface.readers import DECODER_TYPES, KNOWN_TYPES

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the table."""
    types = json.loads((FOLDER / "decoders.json").read_text(encoding="utf-8"))["types"]
    lines = ["model_type,answer,as"]
    for name in types:
        kind = "decoder" if name in DECODER_TYPES else "decoder beside other parts" if name in KNOWN_TYPES else ""
        lines.append(f"{name},{'answered' if kind else 'refused'},{kind}")
    (FOLDER / "types.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    page = FOLDER.parents[1] / "docs" / "models.md"
    text = page.read_text(encoding="utf-8")
    for heading, listed in (
        ("Decoders", DECODER_TYPES),
        ("Decoders beside other parts", sorted({*KNOWN_TYPES} - {*DECODER_TYPES})),
    ):
        names = textwrap.fill(", ".join(f"`{name}`" for name in listed), 118, break_on_hyphens=False)
        text = re.sub(rf"(\n{heading}:\n)[^#]*?\n\n", rf"\1{names}.\n\n", text, count=1)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
