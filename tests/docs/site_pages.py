"""What mkdocs makes while it builds the site: the pages of the reference, links to them, and the drawn pictures."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

import griffe
from mkdocs.structure.files import File

import actors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

INDEX: Final = "reference/index.md"
OPTIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Agent": ("actors.agents.settings", "AgentKeywords", "AgentSettings"),
    "Team": ("actors.nodes.team_settings", "TeamKeywords", "TeamSettings"),
    "Talk": ("actors.talk.context", "TalkKeywords", "TalkSetting"),
    "MessageNode.run": ("actors.runs.request", "OutputKeywords", "RunOptions"),
}
"""What takes keywords, where these are, and the class whose attributes tell what they mean. Each has a page."""
_TOLD_AS: Final = {"transform": "transform_fn"}
"""Keywords whose attribute has another name."""
MODULES: Final[Mapping[str, str]] = {
    "protocols.approval_events": "",
    "protocols.brief_events": "",
    "protocols.events": "",
    "protocols.journal_events": "",
    "protocols.model_events": "",
    "protocols.triggers": "",
    "protocols.errors": "",
    "protocols.model_errors": "",
    "actors.runtime.errors": "",
    "actors.supervision.errors": "",
    "protocols.clock": "",
    "protocols.cluster": "",
    "protocols.control": "",
    "protocols.history": "",
    "protocols.journal": "",
    "protocols.json_value": "",
    "protocols.mailbox": "",
    "protocols.session": "",
    "protocols.stores": "",
    "protocols.streaming": "",
    "protocols.tool_call": "",
    "protocols.transport": "",
    "actors.dashboard": "",
    "actors.storage": "",
    "actors.telemetry": "",
    "actors.telemetry.otel_metrics": "otel_metrics",
    "actors.testing": "",
    "actors.testing.faults": "",
    "actors.testing.models": "",
    "actors.testing.network": "",
    "actors.testing.settle": "settle",
    "actors.triggers": "",
    "actors.web": "",
    "actors.app": "TriggerService",
    "actors.app.dead_letters": "DeadLetterRow, read_dead_letters, replay_dead_letter",
    "actors.config.load": "load_manifest, parse_manifest, load_agent",
    "actors.config.trigger": "TriggerSpec, IntervalTrigger",
    "actors.config.value": "Port",
    "actors.http": "bind, running_server",
    "actors.models.resolve": "resolve_model",
    "actors.runs.request": "RunRequest",
    "actors.runtime.background_loop": "current_system",
    "actors.runtime.envelope": "Envelope",
    "actors.runtime.mailbox": "MailboxConfig, BoundedMailbox",
    "actors.runtime.options": "StartOptions, SystemConfig",
    "actors.runtime.shutdown": "Shutdown, ShutdownReport, STOP_ACTORS",
    "actors.runtime.signals": "SignalHandling",
}
"""What users import besides the names of `actors`: modules, and their names where others are in them as well."""
FENCE: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""The text of a picture on a page."""
_PRE: Final = re.compile(r"(<pre.*?</pre>)", re.DOTALL)
_LABEL: Final = re.compile(
    r'<small class="doc doc-label doc-label-(?:class|instance)-attribute">.*?</small>', re.DOTALL
)
_CONSTANT: Final = re.compile(r"[A-Z][A-Z_]+")
_MADE: Final = re.compile(r"(?:msgspec\.)?field\(default_factory=(\w+)\b.*\)")
_NAME: Final = re.compile(r"(?<![`\[])`(\w+)`(?!`)")
_SEVERAL: Final = {griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword}
_BLANKS: Final = re.compile(r"\s*\n\s*")
_PLAIN: Final = re.compile(r'<span class="[nopw]">([^<]*)</span>')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation."""
    nav = cast("list[dict[str, Any]]", config["nav"])
    reference: list[Any] = next(part["Reference"] for part in nav if "Reference" in part)
    reference.insert(1, {"Names of actors": [{name: f"reference/{name}.md"} for name in names()]})
    reference.append({"Options": [{name: f"reference/{name}.options.md"} for name in OPTIONS]})
    reference.append({"Other modules": [{name: f"reference/{name}.md"} for name in MODULES]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    made = {f"{name}.options": _options(name) for name in OPTIONS}
    made |= {name: _name(name) for name in names()}
    made |= {name: _module(name, members) for name, members in MODULES.items()}
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def names() -> list[str]:
    """Return the public names of `actors`."""
    return sorted(actors.__all__, key=str.lower)


def options_of(name: str) -> list[str]:
    """Return the attributes that tell what the keywords of something mean."""
    module, keywords, _ = OPTIONS[name]
    given: Mapping[str, object] = getattr(import_module(module), keywords).__annotations__
    return [_TOLD_AS.get(key, key) for key in given]


def _used(made: object) -> str:
    """Return the filter that leaves what `dir` lists: what the framework itself uses of a class is not on its page."""
    kinds: tuple[type, ...] = getattr(made, "__mro__", ())
    hidden = sorted({each for kind in kinds for each in vars(kind).get("_of_the_engine", "").split()})
    return json.dumps(["!^_", f"!^({'|'.join(hidden)})$"] if hidden else ["!^_"])


def _page(path: str, **options: str) -> str:
    given = {"heading_level": "1", "show_root_heading": "true", "show_root_toc_entry": "true", **options}
    return f"::: {path}\n    options:\n" + "".join(f"      {key}: {value}\n" for key, value in given.items())


def _module(name: str, members: str) -> str:
    chosen = {"members": f"[{members}]"} if members else {}
    return _page(name, heading=name, **chosen)


def _name(name: str) -> str:
    made: Any = getattr(actors, name)
    kinds = {kind.__name__.removeprefix("Base") for kind in getattr(made, "__mro__", ())}
    links = [f"- [Options of {one}]({one}.options.md)" for one in OPTIONS if one.partition(".")[0] in kinds]
    head = ["\n## Options\n", *links, ""] if links else []
    first = "---\nsearch:\n  boost: 4\n---\n\n"  # of all that tells of it, the search is to show its page first
    shown = _page(f"actors.{name}", heading=name, inherited_members="true", filters=_used(made), show_bases="false")
    return first + shown + "\n".join(head)


def _options(name: str) -> str:
    module, _, told = OPTIONS[name]
    head = f"# Options of {name}\n\nEach keyword with its type, its default and its meaning.\n\n"
    members = f"[{', '.join(options_of(name))}]"
    hidden = dict.fromkeys(("show_bases", "show_root_heading", "show_root_toc_entry"), "false")
    return head + _page(f"{module}.{told}", heading_level="2", inherited_members="true", members=members, **hidden)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Show the drawn pictures, and make links of the names in the index."""
    root = "../" * page.file.src_uri.count("/")
    markdown = FENCE.sub(lambda found: _picture(found[1], root), markdown)
    if page.file.src_uri != INDEX:
        return markdown
    known = {*names(), *MODULES}
    return re.sub(
        r"`([\w.]+)`", lambda found: f"[{found[0]}]({found[1]}.md)" if found[1] in known else found[0], markdown
    )


def picture_name(text: str) -> str:
    """Return the name of the file of a picture: another text is another picture."""
    return f"picture-{hashlib.sha256(text.encode()).hexdigest()[:12]}.svg"


def _picture(text: str, root: str) -> str:
    told = ". ".join(re.findall(r"^ +acc(?:Title|Descr): (.*)", text, re.MULTILINE))
    return f"![{told}]({root}images/{picture_name(text)})"


def on_page_content(html: str, **_: object) -> str:
    """Leave out what an attribute is called in the ways of Python: its type and its default say all."""
    return _LABEL.sub("", html)


def on_post_page(output: str, **_: object) -> str:
    """Leave out what makes pages large and is not seen: blanks between the parts, and marks of plain words in code."""
    parts = _PRE.split(output)
    return "".join(_PLAIN.sub(r"\1", one) if one.startswith("<pre") else _BLANKS.sub("\n", one) for one in parts)


class Reader(griffe.Extension):
    """Reads the sources for the reference: examples, and the values of constants."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Have "Example:" read as the section that griffe calls "Examples:"; options speak for themselves."""
        if obj.path in {f"{module}.{told}" for module, _, told in OPTIONS.values()}:
            obj.docstring = None
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _NAME.sub(lambda found: _linked(found[1]), text)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Show the number in place of the constant that is a default, and no default of what a constructor sets."""
        attr.value = (
            _value(attr.value, attr)
            if "instance-attribute" not in attr.labels or "class-attribute" in attr.labels
            else None
        )

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """The same of parameters. Keywords that have pages of their own have no type here."""
        for each in (func, *(func.overloads or ())):
            for parameter in each.parameters:
                parameter.default = None if parameter.kind in _SEVERAL else _value(parameter.default, func)
                if str(parameter.annotation).startswith("Unpack["):
                    parameter.annotation = None


def _linked(name: str) -> str:
    places = {one: one for one in actors.__all__} | {told: f"{one}.options" for one, (_, _, told) in OPTIONS.items()}
    return f"[`{name}`](../{places[name]}/)" if name in places else f"`{name}`"


def _value(default: str | griffe.Expr | None, owner: griffe.Object) -> str | griffe.Expr | None:
    if made := _MADE.fullmatch(str(default)):
        return {"dict": "{}", "list": "[]"}.get(made[1], f"{made[1]}()")
    if not _CONSTANT.fullmatch(str(default)):
        return default
    value = getattr(sys.modules.get(owner.module.path), str(default), None)
    return repr(value) if isinstance(value, int | float | str) else default
