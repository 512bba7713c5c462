"""Guests that import WASI: a `Guest` with clocks, polling, the environment and standard input."""

from __future__ import annotations

from typing import Any

from .guests import Guest

_IMPORTS = """
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $mono
    (alias outer 1 $pollable (type $p)) (export "pollable" (type $q (eq $p)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
"""
_LOWERED = """
  (core func $wasi_now (canon lower (func $mono "now")))
  (core func $subscribe (canon lower (func $mono "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $get_environment (canon lower (func $environment "get-environment")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $get_arguments (canon lower (func $environment "get-arguments")
    (memory $memory) (realloc (core func $libc "realloc"))))
  (core func $exit (canon lower (func $exit "exit")))
"""
_CORE = """
    (import "wasi" "now" (func $wasi_now (result i64)))
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "get-environment" (func $get_environment (param i32)))
    (import "wasi" "get-arguments" (func $get_arguments (param i32)))
    (import "wasi" "exit" (func $exit (param i32)))
"""
_WITH = """(with "wasi" (instance
      (export "now" (func $wasi_now)) (export "subscribe" (func $subscribe))
      (export "block" (func $block)) (export "get-environment" (func $get_environment))
      (export "get-arguments" (func $get_arguments)) (export "exit" (func $exit))))
    (with "host" (instance"""


def wasi_guest(**parts: Any) -> Guest:
    """A guest whose functions may call `$wasi_now`, `$subscribe` (nanoseconds), `$block`,
    `$get_environment` and `$get_arguments` (each with where to write the list), and `$exit`."""
    edits = {
        "(component\n": f"(component\n{_IMPORTS}",
        "  (core instance $libc (instantiate $libc))": (
            "  (core instance $libc (instantiate $libc))"
            '\n  (alias core export $libc "memory" (core memory $memory))\n' + _LOWERED
        ),
        '  (alias core export $libc "memory" (core memory $memory))\n  (core func $emit': (
            "  (core func $emit"
        ),
        '    (import "host" "emit"': f'{_CORE}    (import "host" "emit"',
        '(with "host" (instance': _WITH,
    }
    return Guest(edits=edits, **parts)
