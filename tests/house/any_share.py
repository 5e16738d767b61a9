"""Count the annotations of fastem that are or contain Any, by package; exit with 1 if their share is above the limit.

The limit is `any_share` of [tool.fastem] in pyproject.toml.  An alias of what contains Any counts as Any.  Modules of
Numba kernels are left out: their annotations are Numba's types.  --list names every place.
"""

import ast
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = ROOT / "fastem" / "kernels" / "numba"
EXPRESSIONS = ast.Name | ast.Attribute | ast.Subscript | ast.BinOp | ast.Constant


def sources():
    """Return the modules of the package by their dotted names."""
    paths = [path for path in sorted((ROOT / "fastem").rglob("*.py")) if LEFT_OUT not in path.parents]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in paths
    }


def names_in(annotation):
    """Return the names that an annotation is made of; text in it is an annotation, too."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                yield from names_in(ast.parse(node.value, mode="eval"))
            except SyntaxError:  # a value of a Literal
                continue


def aliases(tree):
    """Return each name that a module gives to what may be a type, with the expression for it."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, EXPRESSIONS):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, node.value) for target in targets if isinstance(target, ast.Name))


def imports(tree):
    """Return each name that a module imports, with the module and the name that it has there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, (node.module, alias.name)) for alias in node.names)


def names_of_any(trees):
    """Return for each module the names that are or contain Any there."""
    found = {module: {"Any"} for module in trees}
    size = 0
    while size != (size := sum(map(len, found.values()))):
        for module, tree in trees.items():
            found[module] |= {name for name, value in aliases(tree) if found[module] & {*names_in(value)}}
            found[module] |= {name for name, (home, there) in imports(tree) if there in found.get(home, ())}
    return found


def annotations(tree):
    """Return the annotation of every parameter, result and assignment."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns


def main():
    trees, places, of_any = sources(), Counter(), Counter()
    tainted = names_of_any(trees)
    for module, tree in trees.items():
        package = ".".join(module.split(".")[:2])
        for annotation in annotations(tree):
            places[package] += 1
            if tainted[module] & {*names_in(annotation)}:
                of_any[package] += 1
                if "--list" in sys.argv:
                    print(f"{module}:{annotation.lineno}: {ast.unparse(annotation)}")
    for package in sorted(places):
        print(f"{package:24}{of_any[package]:5} of {places[package]:5}")
    limit = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["fastem"]["any_share"]
    share = of_any.total() / places.total()
    print(f"{of_any.total()} of {places.total()} annotations contain Any: {share:.1%}, at most {limit:.1%} may")
    return int(share > limit)


if __name__ == "__main__":
    sys.exit(main())
