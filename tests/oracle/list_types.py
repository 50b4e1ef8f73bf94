"""Write types.csv: every model_type of the library's maps, and whether it is answered or refused, and as what."""

import json
from pathlib import Path

from perfmodel.specifications.huggingface.reader import DECODER_TYPES, KNOWN_TYPES

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the table."""
    types = json.loads((FOLDER / "decoders.json").read_text(encoding="utf-8"))["types"]
    lines = ["model_type,answer,as"]
    for name in types:
        kind = "decoder" if name in DECODER_TYPES else "decoder beside other parts" if name in KNOWN_TYPES else ""
        lines.append(f"{name},{'answered' if kind else 'refused'},{kind}")
    (FOLDER / "types.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
