"""The JSON Schema of manifests, for editors."""

from typing import Any

from actors.config.manifest import Manifest

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATHS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_VARIABLE = {"$ref": "#/$defs/Variable"}
_NO_TEXT = ("integer", "number", "boolean")
_ABOUT = ("default", "description", "title", "deprecated")
_AT_TOP = {"model": "Model of agents that set none; same as `defaults.model`.", "limits": "Same as `defaults.limits`."}


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest: every key with its meaning, other spellings and short forms included.

    It is more lenient than `load_manifest`, which also checks references, imports and files. Where it expects a number,
    true or false, or one of some words, it takes an environment variable as well.
    """
    schema = Manifest.model_json_schema(mode="validation")
    properties, defaults = schema["properties"], schema["$defs"]["DefaultsSpec"]["properties"]
    schema["properties"] = {
        "INHERIT": {"description": "Files that this one is laid over, relative to it.", **_PATHS},
        **properties,
        **{key: {"anyOf": defaults[key]["anyOf"], "description": text} for key, text in _AT_TOP.items()},
    }
    for section in ("AgentSpec", "TeamSpec", "JobSpec"):
        schema["$defs"][section]["required"] = [key for key in schema["$defs"][section]["required"] if key != "name"]
    _allow_variables(schema)
    return {"$schema": _DIALECT, "title": "Understage manifest", **{k: v for k, v in schema.items() if k != "title"}}


def _allow_variables(schema: dict[str, Any]) -> None:
    schema["$defs"]["Variable"] = {"type": "string", "pattern": r"\$\{", "description": "An environment variable."}
    sections = [schema, *(form for part in schema["$defs"].values() for form in part.get("anyOf", [part]))]
    for section in sections:
        properties: dict[str, Any] = section.get("properties", {})
        for key, value in properties.items():
            forms = value.get("anyOf", [value])
            if any(form.get("type") in _NO_TEXT or "enum" in form for form in forms):
                core = {name: part for name, part in value.items() if name not in _ABOUT}
                about = {name: part for name, part in value.items() if name in _ABOUT}
                properties[key] = {"anyOf": [*value.get("anyOf", [core]), _VARIABLE], **about}
