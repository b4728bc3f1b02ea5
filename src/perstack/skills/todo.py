"""The to-do list of one run and the tools over it. Holds state in memory only; the event log keeps the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perstack.core.errors import ToolError
from perstack.core.json import JsonObject
from perstack.core.messages import ToolCall, ToolResult
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool


@dataclass(frozen=True, slots=True)
class Todo:
    """One entry. Ids count up from 0."""

    id: int
    title: str
    completed: bool = False

    def to_json(self) -> JsonObject:
        return {"id": self.id, "title": self.title, "completed": self.completed}


class TodoList:
    """What an expert still wants to do."""

    def __init__(self) -> None:
        self._todos: list[Todo] = []

    @property
    def all(self) -> Sequence[Todo]:
        return tuple(self._todos)

    @property
    def remaining(self) -> Sequence[Todo]:
        return tuple(todo for todo in self._todos if not todo.completed)

    def update(self, new: Sequence[str], completed: Sequence[int]) -> None:
        """Add entries and tick others off; all of it or nothing.

        Raises: ToolError for an id that is not there.
        """
        count = len(self._todos) + len(new)
        unknown = [number for number in completed if not 0 <= number < count]
        if unknown:
            known = f"Ids go from 0 to {count - 1}." if count else "The list is empty."
            raise ToolError(f"There is no to-do with id {', '.join(map(str, unknown))}.", hint=known)
        self._todos += [Todo(len(self._todos) + index, title) for index, title in enumerate(new)]
        for number in completed:
            self._todos[number] = replace(self._todos[number], completed=True)

    def clear(self) -> None:
        self._todos.clear()

    def restore(self, past: Sequence[tuple[ToolCall, ToolResult]]) -> None:
        """Make the changes of recorded calls again, in their order; failed ones and those of other tools are none."""
        for call, result in past:
            if call.tool_name == "todo" and not result.is_error:
                arguments = Arguments({name: value for name, value in call.args.items() if value is not None})
                self.update(arguments.texts("newTodos"), arguments.numbers("completedTodos"))
            elif call.tool_name == "clearTodo":
                self.clear()


def todo_tools(todos: TodoList) -> tuple[Tool, ...]:
    """`attemptCompletion`, `todo` and `clearTodo` over one list."""

    async def attempt_completion(_: Arguments) -> Answer:
        remaining = [todo.to_json() for todo in todos.remaining]
        return Answer({"remainingTodos": remaining} if remaining else {})

    async def todo(arguments: Arguments) -> Answer:
        todos.update(arguments.texts("newTodos"), arguments.numbers("completedTodos"))
        return Answer({"todos": [entry.to_json() for entry in todos.all]})

    async def clear(_: Arguments) -> Answer:
        todos.clear()
        return Answer({"todos": []})

    return (
        Tool(
            "attemptCompletion",
            "Ends your work. Call it when everything you were asked for is done. Open to-dos are returned to you "
            "instead, and you go on.",
            attempt_completion,
            {"result": Parameter(Kind.STRING, "Your answer to whoever asked you.", required=False)},
        ),
        Tool(
            "todo",
            "Your to-do list for work of several steps. Adds entries, ticks entries off, and returns the list.",
            todo,
            {
                "newTodos": Parameter(Kind.STRINGS, "Titles to add.", required=False),
                "completedTodos": Parameter(Kind.INTEGERS, "Ids of entries that are done.", required=False),
            },
            repeatable=True,
        ),
        Tool("clearTodo", "Empties your to-do list.", clear, repeatable=True),
    )
