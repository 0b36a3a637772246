"""What a user reads when the sandbox cannot go on: what is wrong, and how to mend it."""

from __future__ import annotations


class SandboxError(Exception):
    """One reason the sandbox cannot go on, with the way out."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what}\n  -> {mend}" if mend else what)
        self.what = what
        self.mend = mend


class PreflightError(SandboxError):
    """Everything this machine lacks for a sandbox, all at once: nobody likes to mend one thing and be told the next."""

    def __init__(self, problems: list[SandboxError]) -> None:
        self.problems = problems
        super().__init__("this machine cannot carry the sandbox yet:\n" + "\n".join(f"- {p}" for p in problems))
