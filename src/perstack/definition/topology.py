"""Who delegates to whom: the delegation tree of a definition, as data and as text. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, Config, Expert
from perstack.core.grammar import parse_expert_key

State = Literal["expert", "missing", "cycle"]


@dataclass(frozen=True, slots=True)
class Node:
    """One expert in the tree. `missing`: defined nowhere. `cycle`: already above in this branch, not unfolded again.

    `skills` are those beside the base skill, which every expert has.
    """

    key: str
    state: State = "expert"
    description: str = ""
    tier: str = ""
    skills: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()


def tree(config: Config) -> tuple[Node, ...]:
    """The delegation trees, one a root, in the order of the file.

    A root is an expert nobody delegates to; where all are in circles, the first of each circle is one.
    """
    called = {delegate for expert in config.experts.values() for delegate in expert.delegates}
    roots = [key for key in config.experts if key not in called]
    reached = _reach(config, roots)
    for key in config.experts:
        if key not in reached:
            roots.append(key)
            reached |= _reach(config, [key])
    return tuple(_node(config, key, ()) for key in roots)


def tree_lines(config: Config) -> tuple[str, ...]:
    """The trees as lines of text."""
    lines: list[str] = []
    for root in tree(config):
        lines.append(_label(root))
        lines.extend(_branches(root, ""))
    return tuple(lines)


def cycles(config: Config) -> tuple[tuple[str, ...], ...]:
    """Every circle of delegation once, starting at the expert that comes first in the file."""
    order = {key: index for index, key in enumerate(config.experts)}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    done: set[str] = set()
    for start in config.experts:
        stack: list[tuple[str, int]] = [(start, 0)]
        trail: list[str] = [start]
        while stack and start not in done:
            key, position = stack[-1]
            delegates = [name for name in config.experts[key].delegates if name in config.experts and name not in done]
            if position >= len(delegates):
                stack.pop()
                done.add(trail.pop())
                continue
            stack[-1] = (key, position + 1)
            target = delegates[position]
            if target in trail:
                circle = trail[trail.index(target) :]
                first = circle.index(min(circle, key=order.__getitem__))
                found.setdefault(frozenset(circle), tuple(circle[first:] + circle[:first]))
            else:
                stack.append((target, 0))
                trail.append(target)
    return tuple(found.values())


def resolve_expert(config: Config, key: str) -> Expert:
    """The expert with this key.

    Raises: UserError that names the experts there are.
    """
    expert = config.experts.get(key)
    if expert is not None:
        return expert
    if parse_expert_key(key) is None:
        raise UserError(f"Invalid expert key format: {key}", hint="A key looks like `fix` or `@fix/verify`.")
    names = ", ".join(config.experts) or "none"
    raise UserError(
        f'Failed to resolve expert "{key}": it is not defined in {config.path or "perstack.toml"}',
        hint=f"Available experts: {names}",
    )


def check_delegates(config: Config, key: str) -> tuple[Expert, ...]:
    """The direct delegates of an expert, all of them there.

    Raises: UserError for the first that is not defined; a run must ask before its first model call.
    """
    return tuple(resolve_expert(config, delegate) for delegate in resolve_expert(config, key).delegates)


def _reach(config: Config, roots: Collection[str]) -> set[str]:
    seen: set[str] = set()
    pending = list(roots)
    while pending:
        key = pending.pop()
        if key not in seen:
            seen.add(key)
            expert = config.experts.get(key)
            pending.extend(expert.delegates if expert else ())
    return seen


def _node(config: Config, key: str, above: tuple[str, ...]) -> Node:
    expert = config.experts.get(key)
    if expert is None:
        return Node(key, "missing")
    if key in above:
        return Node(key, "cycle")
    children = tuple(_node(config, delegate, (*above, key)) for delegate in expert.delegates)
    skills = tuple(name for name in expert.skills if name != BASE_SKILL)
    return Node(key, "expert", expert.description, expert.default_model_tier, skills, children)


def _label(node: Node) -> str:
    if node.state == "missing":
        return f"{node.key}  (not defined)"
    if node.state == "cycle":
        return f"{node.key}  (circle: already above)"
    tier = f" [{node.tier}]" if node.tier else ""
    skills = f" ({', '.join(node.skills)})" if node.skills else ""
    first_line = node.description.strip().partition("\n")[0]
    return f"{node.key}{tier}{skills}{f'  {first_line}' if first_line else ''}"


def _branches(node: Node, indent: str) -> Iterator[str]:
    for index, child in enumerate(node.children):
        last = index == len(node.children) - 1
        yield f"{indent}{'└─ ' if last else '├─ '}{_label(child)}"
        yield from _branches(child, indent + ("   " if last else "│  "))
