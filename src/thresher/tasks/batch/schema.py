"""The replies that a JSON schema allows, where they are a list: an enum, or an object with one property that is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thresher.errors import UnreadableError
from thresher.types import ReplyForm

_MOST_INTEGERS = 1001
_MOST_REFERENCES = 16
#: Keys that say nothing about which values are allowed.
_REMARKS = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs", "definitions"})
_JsonType = Literal["string", "boolean", "integer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """A list of labels, and how each is written."""

    labels: tuple[str, ...]
    form: ReplyForm | None = None


def replies_of_schema(schema: object) -> Replies:
    """The replies that ``schema`` allows. Raises ``UnreadableError`` where they are no list."""
    if not isinstance(schema, Mapping):
        raise UnreadableError("its JSON schema is not an object")
    top = _resolved(schema, schema)
    if top.get("type") != "object" and "properties" not in top:
        labels, json_type = _values(top, schema, "its JSON schema")
        return Replies(labels=labels, form=ReplyForm(json_type=json_type))
    properties = top.get("properties")
    if not isinstance(properties, Mapping) or len(properties) != 1:
        count = len(properties) if isinstance(properties, Mapping) else 0
        raise UnreadableError(
            f"its JSON schema is an object with {count} properties; one property with a list of values can be answered"
        )
    ((key, value),) = properties.items()
    labels, json_type = _values(_resolved(value, schema), schema, f"property {key!r} of its JSON schema")
    return Replies(labels=labels, form=ReplyForm(key=key, json_type=json_type))


def replies_of_choice(choice: object) -> Replies:
    """The replies of a list of texts. Raises ``UnreadableError``."""
    if not isinstance(choice, list) or not choice or not all(isinstance(label, str) for label in choice):
        raise UnreadableError("its list of choices must be a list of texts with at least one in it")
    return Replies(labels=_distinct(choice))


def _resolved(schema: object, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """``schema`` with references into its own definitions followed."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping):
            raise UnreadableError("its JSON schema has a part that is not an object")
        (inner,) = schema["allOf"] if _is_single_all_of(schema) else (None,)
        if inner is not None:  # how pydantic wraps a reference that has a description
            schema = inner
        elif "$ref" in schema:
            schema = _referenced(schema["$ref"], root)
        else:
            return schema
    raise UnreadableError("its JSON schema refers to itself")


def _is_single_all_of(schema: Mapping[str, Any]) -> bool:
    inner = schema.get("allOf")
    return isinstance(inner, list) and len(inner) == 1 and set(schema) - {"allOf"} <= _REMARKS


def _referenced(reference: object, root: Mapping[str, Any]) -> object:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        raise UnreadableError(f"its JSON schema refers to {reference!r}, which is not inside it")
    found: object = root
    for part in reference[2:].split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or part not in found:
            raise UnreadableError(f"its JSON schema refers to {reference!r}, which it does not have")
        found = found[part]
    return found


def _values(schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], _JsonType]:
    """The values allowed, as JSON writes them (texts without their quotes), and their type."""
    if "const" in schema:
        return _typed([schema["const"]], where)
    if "enum" in schema:
        return _typed(schema["enum"], where)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _typed(_constants(schema[key], root, where), where)
    if schema.get("type") == "boolean":
        return ("true", "false"), "boolean"
    if schema.get("type") == "integer":
        return _integers(schema, where), "integer"
    raise UnreadableError(
        f"{where} is of type {schema.get('type')!r} and lists no values; only a list can be answered: an enum, const, "
        "boolean, or integer with minimum and maximum"
    )


def _constants(alternatives: object, root: Mapping[str, Any], where: str) -> list[object]:
    found: list[object] = []
    for alternative in alternatives if isinstance(alternatives, list) else [None]:
        one = _resolved(alternative, root)
        if "const" in one:
            found.append(one["const"])
        elif isinstance(one.get("enum"), list):
            found += one["enum"]
        else:
            raise UnreadableError(
                f"{where} has an alternative that lists no values; only const and enum can be answered"
            )
    return found


def _typed(values: object, where: str) -> tuple[tuple[str, ...], _JsonType]:
    if not isinstance(values, list) or not values:
        raise UnreadableError(f"{where} has a list of values that is empty or no list")
    if all(isinstance(value, str) for value in values):
        return _distinct(values), "string"
    if all(isinstance(value, bool) for value in values):
        return _distinct(["true" if value else "false" for value in values]), "boolean"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return _distinct([str(value) for value in values]), "integer"
    raise UnreadableError(f"{where} lists values that are not all texts, all whole numbers, or all true and false")


def _integers(schema: Mapping[str, Any], where: str) -> tuple[str, ...]:
    low, high = _bound(schema, "minimum", "exclusiveMinimum", 1), _bound(schema, "maximum", "exclusiveMaximum", -1)
    if low is None or high is None or "multipleOf" in schema:
        raise UnreadableError(f"{where} is an integer without minimum and maximum; give both, or an enum")
    if not 0 <= high - low < _MOST_INTEGERS:
        raise UnreadableError(
            f"{where} is an integer from {low} to {high}; 1 to {_MOST_INTEGERS} values can be answered"
        )
    return tuple(map(str, range(low, high + 1)))


def _bound(schema: Mapping[str, Any], key: str, exclusive_key: str, inward: int) -> int | None:
    bounds = {key: 0, exclusive_key: inward}
    found = [schema[name] + step for name, step in bounds.items() if type(schema.get(name)) is int]  # a bool is none
    return found[0] if len(found) == 1 else None


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))
