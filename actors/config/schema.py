"""The JSON Schema of manifests, for editors."""

from typing import Any

from actors.config.manifest import Manifest

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATHS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_AT_TOP = {"model": "Model of agents that set none; same as `defaults.model`.", "limits": "Same as `defaults.limits`."}


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest: every key with its meaning, other spellings and short forms included.

    It is more lenient than `load_manifest`, which also checks references, imports and files.
    """
    schema = Manifest.model_json_schema(mode="validation")
    properties: dict[str, Any] = schema["properties"]
    schema["properties"] = {
        "INHERIT": {"description": "Files that this one is laid over, relative to it.", **_PATHS},
        **properties,
        **{key: {**_of_defaults(schema, key), "description": text} for key, text in _AT_TOP.items()},
    }
    for section in ("AgentSpec", "TeamSpec", "JobSpec"):
        schema["$defs"][section]["required"] = [key for key in schema["$defs"][section]["required"] if key != "name"]
    return {"$schema": _DIALECT, "title": "Understudy manifest", **{k: v for k, v in schema.items() if k != "title"}}


def _of_defaults(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {"anyOf": schema["$defs"]["DefaultsSpec"]["properties"][key]["anyOf"]}
