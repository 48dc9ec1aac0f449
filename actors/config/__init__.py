"""The YAML manifest as pure data: `load.load_manifest` reads it, `manifest.Manifest` is what it says.

Reading goes through these files: `file` (bytes) -> `source` (YAML to a marked tree) -> `inherit` (`INHERIT`) ->
`environment` (`${NAME}`) -> `inherit` (`inherits`) -> `check` (references) -> the models -> `explain` (errors).
"""
