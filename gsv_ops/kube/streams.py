"""Running a command in a container: both outputs and the exit code, within a deadline."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gsv_ops.kube import errors
from gsv_ops.kube.channels import V4, V5, Channels, open_channels
from gsv_ops.kube.protocol import ExecResult
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Transport

STDIN, STDOUT, STDERR, STATUS = 0, 1, 2, 3
LARGEST_OUTPUT = 64 * 1024 * 1024
# The status can overtake the last of the output on its way through the API server.
AFTER_STATUS = 2.0


def run(
    transport: Transport,
    about: Request,
    path: str,
    container: str,
    command: Sequence[str],
    stdin: str,
    timeout: float,
) -> ExecResult:
    """What the command gave back. Raises ExecFailed when it could not be started, outlived its time, or wrote too much.

    The command stands in the URL and so in the API server's audit log: a secret goes by stdin.
    """
    deadline = transport.clock() + timeout
    flags = [("container", container), ("stdin", str(bool(stdin)).lower()), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
    query = flags + [("command", part) for part in command]
    with open_channels(transport, about, path, query, (V5, V4), timeout) as channels:
        if stdin:
            _send_stdin(about, channels, stdin)
        output = _collect(transport, about, channels, deadline, timeout)
    code = _exit_code(about, container, output[STATUS])
    return ExecResult(code, output[STDOUT].decode(errors="replace"), output[STDERR].decode(errors="replace"))


def _send_stdin(about: Request, channels: Channels, stdin: str) -> None:
    if channels.protocol != V5:
        message = (
            f"exec {about.subject}: this API server speaks {channels.protocol}, which cannot say that stdin has ended; "
            "expected Kubernetes 1.30 or newer"
        )
        raise about.error(errors.ExecFailed, message)
    channels.send(STDIN, stdin.encode())
    channels.end(STDIN)


def _collect(transport: Transport, about: Request, channels: Channels, deadline: float, timeout: float) -> dict[int, bytearray]:
    output = {channel: bytearray() for channel in (STDOUT, STDERR, STATUS)}
    while not channels.ended:
        remaining = deadline - transport.clock()
        if remaining <= 0:
            if output[STATUS]:
                break
            message = f"exec {about.subject}: the command did not end within {timeout:g} s, and may still be running in the container"
            raise about.error(errors.ExecFailed, message)
        for channel, data in channels.pump(remaining):
            if channel in output:
                output[channel] += data
                if channel == STATUS:
                    deadline = min(deadline, transport.clock() + AFTER_STATUS)
        if len(output[STDOUT]) + len(output[STDERR]) > LARGEST_OUTPUT:
            message = f"exec {about.subject}: the command wrote more than {LARGEST_OUTPUT} bytes; let it write to a file, or print less"
            raise about.error(errors.ExecFailed, message)
    return output


def _exit_code(about: Request, container: str, status: bytearray) -> int:
    """The exit code from the Status that ends the stream."""
    try:
        answer = json.loads(bytes(status))
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        message = f"exec {about.subject}: the stream broke before the exit code came; whether the command ran to its end is not known"
        raise about.error(errors.ExecFailed, message)
    if answer.get("status") == "Success":
        return 0
    causes = (answer.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    why = answer.get("message") or answer.get("reason")
    message = f'exec {about.subject}, container "{container}": the command could not be run: {why}'
    raise about.error(errors.ExecFailed, message)
