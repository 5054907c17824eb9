"""The OpenAPI 3.1 document, made from the table of operations and the models that check and answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from hashyard_cloud.services import idempotency
from hashyard_cloud.services.api_tokens import Access, scope
from hashyard_cloud.web.api.v1.operations import PREFIX, Operation
from hashyard_cloud.web.api.v1.types import ID_PATTERN, MAX_ID_CHARS
from hashyard_cloud.web.problems import MEDIA_TYPE
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import Problem

OPENAPI: Final = "3.1.0"
_REF: Final = "#/components/schemas/{model}"
ModelMode = tuple[type[BaseModel], JsonSchemaMode]
Schemas = Mapping[Any, dict[str, Any]]

PROBLEMS: Final = {
    400: "The request's form is not understood.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token's scope or role does not allow it.",
    404: "There is nothing here, or it is not yours to see.",
    409: "It contradicts what is already recorded.",
    413: "The body is too large.",
    422: "A field is missing or wrong; `field` names it.",
    429: "Too many requests; wait as long as Retry-After says.",
    500: "Something went wrong on our side.",
    503: "Not available right now; wait as long as Retry-After says.",
}
_WITH_BODY: Final = frozenset({400, 413})
INTRODUCTION: Final = (
    "Show a token as `Authorization: Bearer hy_...`. Each operation names the scope it needs; writing includes "
    "reading. Lists are paged by `cursor`: pass on `next_cursor` until it is null. Any write may carry an "
    "`Idempotency-Key`; the same request again within 24 hours is answered with what the first one got. Errors "
    "are problem+json: `type` is a code, `field` names what is wrong."
)


def document(operations: Sequence[Operation], base_url: str, version: str) -> dict[str, Any]:
    """The document as JSON-ready values."""
    wanted: list[ModelMode] = [(Problem, "serialization")]
    for operation in operations:
        wanted.append((operation.answer, "serialization"))
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
    schemas, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        of_path = paths.setdefault(PREFIX + operation.path, {})
        of_path[operation.method.lower()] = _described(operation, schemas)
    components = definitions.get("$defs", {})
    components["Problem"]["properties"]["type"]["enum"] = [code.value for code in ErrorCode]
    return {
        "openapi": OPENAPI,
        "info": {"title": "Hashyard", "version": version, "description": INTRODUCTION},
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    needed = scope(operation.area, operation.access)
    roles = ", ".join(sorted(role.value for role in operation.allowed))
    description = "\n\n".join(
        part for part in (operation.description, f"Scope `{needed}`. Roles: {roles}.") if part
    )
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": description,
        "tags": [operation.area.value],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        schema = schemas[operation.body, "validation"]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    of_path = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS, "pattern": ID_PATTERN}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": of_path} for name in operation.parameters
    ]
    if operation.query is not None:
        found += _query_parameters(operation.query)
    if operation.access is Access.WRITE:
        key = {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_KEY_CHARS, "pattern": "^[!-~]+$"}
        found.append({"name": idempotency.FIELD, "in": "header", "required": False, "schema": key})
    return found


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _flat(value, definitions)}
        for name, value in schema.get("properties", {}).items()
    ]


def _flat(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A query's value is text: it is given or it is not, null it cannot be."""
    found = dict(schema)
    found.pop("title", None)
    if "anyOf" in found:
        options = [option for option in found.pop("anyOf") if option.get("type") != "null"]
        found = _flat(options[0], definitions)
    if "$ref" in found:
        found = dict(definitions[found["$ref"].rpartition("/")[2]])
        found.pop("description", None)
    if found.get("default", ...) is None:
        del found["default"]
    return found


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    answer = schemas[operation.answer, "serialization"]
    problem = {MEDIA_TYPE: {"schema": schemas[Problem, "serialization"]}}
    found: dict[str, Any] = {
        str(operation.status): {
            "description": (operation.answer.__doc__ or "Done.").strip(),
            "content": {"application/json": {"schema": answer}},
        }
    }
    for status, text in PROBLEMS.items():
        if status in _WITH_BODY and operation.body is None:
            continue
        found[str(status)] = {"description": text, "content": problem}
    return found
