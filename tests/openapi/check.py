"""Holds answers against the document that describes them: `check.py DOCUMENT ANSWERS`.

The document must be OpenAPI 3.1 by the specification's own schema, its schemas JSON Schema (2020-12), and each parameter in
a path must be described. ANSWERS is a list of what was asked (`method`, `path` as in the document) and answered (`status`,
`kind`, `body`): the status and the kind must be documented, and a body of JSON must have the form that is; members that
are not documented are wrong even where later versions may have more.
"""

import copy
import json
import re
import sys

import jsonschema_rs
from schemathesis.specs.openapi.definitions import OPENAPI_31

document = json.load(open(sys.argv[1], encoding="utf-8"))
answers = json.load(open(sys.argv[2], encoding="utf-8"))
problems = []


def check(what, validator, value):
    for error in validator.iter_errors(value):
        at = "/".join(str(step) for step in error.instance_path)
        problems.append(f"{what}: at /{at}: {error.message[:600]}")


def close(schema, name=None):
    """No members but those that are documented. Parts of an `allOf` know only some of them each."""
    if isinstance(schema, dict):
        if name != "allOf" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for key, value in schema.items():
            close(value, key)
    elif isinstance(schema, list):
        for value in schema:
            close(value, name)


check("the document", jsonschema_rs.validator_for(OPENAPI_31), document)
for name, schema in document["components"]["schemas"].items():
    try:
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    except ValueError as error:
        problems.append(f"schema {name}: {error}")
for path, operations in document["paths"].items():
    for method, operation in operations.items():
        described = [(p["name"], p["in"]) for p in operation.get("parameters", [])]
        if len(set(described)) < len(described):
            problems.append(f"{method} {path}: a parameter twice")
        if {name for name, where in described if where == "path"} != set(re.findall(r"{(\w+)}", path)):
            problems.append(f"{method} {path}: its parameters are not those in its path")

components = copy.deepcopy(document["components"])
for schema in components["schemas"].values():
    close(schema)


def resolved(value):
    while "$ref" in value:
        here = document
        for step in value["$ref"].split("/")[1:]:
            here = here[step]
        value = here
    return value


def validator(schema):
    schema = copy.deepcopy(schema)
    close(schema)
    return jsonschema_rs.Draft202012Validator({"allOf": [schema], "components": components}, validate_formats=True)


for answer in answers:
    method, path, status = answer["method"], answer["path"], str(answer["status"])
    what = f"{answer['method']} {answer['asked']} {status}"
    operation = document["paths"].get(path, {}).get(method.lower())
    if operation is None:
        problems.append(f"{what}: no such operation")
        continue
    if status not in operation["responses"]:
        problems.append(f"{what}: not documented: {answer['body'][:300]}")
        continue
    content = resolved(operation["responses"][status]).get("content", {})
    kind = answer["kind"].split(";")[0]
    if not content:
        if answer["body"]:
            problems.append(f"{what}: no body is documented: {answer['body'][:300]}")
    elif kind not in content:
        problems.append(f"{what}: `{kind}` is not documented")
    elif kind == "application/json" or answer.get("line"):
        check(what, validator(content[kind]["schema"]), json.loads(answer["body"]))

print("\n".join(problems))
sys.exit(1 if problems else 0)
