"""`understage schema`: the JSON Schema of manifests."""

import json

from actors.cli.output import write


def schema() -> None:
    """Write the JSON Schema of manifests, for editors."""
    from actors.config.schema import manifest_schema

    write(json.dumps(manifest_schema(), indent=2, ensure_ascii=False))
