"""Write `tb_modelcompare/zoo/lucid_models.json` from the declarations in the pinned lucid wheel.

Names of files, layers and tags are facts that lucid's modelzoo states in literals. They are read
without running any of it.
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parents[1] / "tb_modelcompare" / "zoo" / "lucid_models.json"
_PREFIX = "gs://modelzoo/vision/"
# What the expressions of value ranges are made of; lucid states the mean in the order R, G, B.
_MEAN_BGR = [103.939, 116.779, 123.68]


def table(wheel: Path) -> dict[str, Any]:
    """What lucid's modelzoo declares of each model."""
    classes: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if "_models/" in name and name.startswith("lucid/modelzoo/"):
                for statement in ast.parse(archive.read(name)).body:
                    _read(statement, classes)
    return {
        name: {
            "path": found["model_path"].removeprefix(_PREFIX),
            "input": found["input_name"],
            "shape": list(found["image_shape"]),
            "range": found["image_value_range"],
            "bgr": found.get("is_BGR", False),
            "layers": found.get("layers", []),
        }
        for name, found in sorted(classes.items())
    }


def _read(statement: ast.stmt, classes: dict[str, dict[str, Any]]) -> None:
    match statement:
        case ast.ClassDef(name=name, bases=[ast.Name(id=base)], body=body):
            classes[name] = dict(classes.get(base, {}))
            for inner in body:
                match inner:
                    case ast.Assign(targets=[ast.Name(id=field)], value=value):
                        classes[name][field] = _value(field, value)
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id=name), attr="layers")],
            value=ast.Call(args=[_, ast.List() as listed]),
        ):
            classes[name]["layers"] = [
                [layer["name"], layer["depth"], layer["tags"]] for layer in ast.literal_eval(listed)
            ]


def _value(field: str, value: ast.expr) -> Any:
    if field != "image_value_range":
        return ast.literal_eval(value)
    words = ast.unparse(value)
    if words == "(-IMAGENET_MEAN_BGR, 255 - IMAGENET_MEAN_BGR)":
        return [[-mean for mean in _MEAN_BGR], [255 - mean for mean in _MEAN_BGR]]
    if words == "(-117, 255 - 117)":
        return [-117, 138]
    return list(ast.literal_eval(value))


def _text(found: dict[str, Any]) -> str:
    lines = [f'"{name}": {json.dumps(one)}' for name, one in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(_text(table(Path(sys.argv[1]))))
