"""YAML 1.2: one reader and one writer for every file and value of a user.

PyYAML implements YAML 1.1, where `1:5` is 65, `010` is 8, `no` is false and `1e-3` is text. The reader resolves plain scalars
by the core schema of YAML 1.2 instead (https://yaml.org/spec/1.2.2/#103-core-schema). The writer quotes what either version
would take for something else, so that every YAML library reads the same values.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

LARGEST = 10_000_000
"""Characters of a file, and values in it with every alias written out."""
_TAG = "tag:yaml.org,2002:"
_CORE = {  # in the order in which they are tried, with the first characters
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": (r"<<", ["<"]),  # of YAML 1.1, kept for `<<: *anchor`
}


class _Loader(yaml.SafeLoader):
    """Plain values only; keys of a mapping are different, and nothing contains itself."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (as PyYAML declares it)

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node is not None and _expanded(node, {}) > LARGEST:
            raise yaml.composer.ComposerError(None, None, f"aliases stand for more than {LARGEST} values", node.start_mark)
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if node is not None and node.end_mark is None:  # an alias of a collection that has not ended
            raise yaml.composer.ComposerError(None, None, "a value contains itself", node.start_mark)
        return node

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                key = "<<" if key_node.tag == _TAG + "merge" else self.construct_object(key_node)
                if key in keys:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
                keys.add(key)
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        return float(str(self.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Count a node's values with every alias written out; `known` has the counts by the identity of a node."""
    if isinstance(node, yaml.CollectionNode) and id(node) not in known:
        pairs = isinstance(node, yaml.MappingNode)
        inner = [each for pair in node.value for each in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_expanded(each, known) for each in inner)
    return known.get(id(node), 1)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for another value, or whose line breaks it would change."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if set(data) & set("\x85\u2028\u2029") else None
        return self.represent_scalar(_TAG + "str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
_Loader.yaml_constructors = {
    _TAG + "null": _Loader.construct_yaml_null,
    _TAG + "bool": _Loader.construct_yaml_bool,
    _TAG + "int": _Loader.construct_yaml_int,
    _TAG + "float": _Loader.construct_yaml_float,
    _TAG + "str": _Loader.construct_yaml_str,
    _TAG + "seq": _Loader.construct_yaml_seq,
    _TAG + "map": _Loader.construct_yaml_map,
    None: _Loader.construct_undefined,
}
for _kind, (_pattern, _first) in _CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), _first)


def read_yaml(text: str, origin: str) -> Any:
    """Parse YAML 1.2.

    Args:
        text: Content of a file, or a value of the command line.
        origin: Its name in messages.

    Returns:
        None, bool, int, float, str, and lists and dicts of them.

    Raises:
        LabError: If it is no YAML, has a key twice or a number beyond Python's limit of digits; it names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        if problem.endswith("is given twice"):
            raise LabError(f"{origin}{where}: {problem}") from error
        raise LabError(f"{origin}{where}: not YAML ({problem})") from error
    except RecursionError as error:
        raise LabError(f"{origin}: not YAML that can be read (nested too deeply)") from error
    except ValueError as error:  # of int and float
        raise LabError(f"{origin}: not YAML ({error})") from error


def read_mapping(path: Path | str) -> dict[str, Any]:
    """Read the settings in a YAML file.

    Raises:
        LabError: If it cannot be read, is not YAML or no mapping.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: bytes that are no UTF-8, or a path with a null byte
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise LabError(f"{path}: {reason}") from error
    if len(text) > LARGEST:
        raise LabError(f"{path}: must be at most {LARGEST} characters")
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise LabError(f"{path}: must be a mapping of settings, as 'task: induction'")
    return values


def write_yaml(value: Any) -> str:
    """Format plain values as YAML, which reads back equal by YAML 1.1 and 1.2; keys keep their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
