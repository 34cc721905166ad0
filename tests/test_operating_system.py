"""What operating systems offer each in its own way."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from typing import Any

import pytest

from rigid.operating_system import MACOS_DESCRIPTORS, count_cores, name_processor, raise_descriptor_limit


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= count_cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert count_cores() == os.cpu_count()


def test_the_processor_has_a_name_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_processor()
    answer: list[Any] = [subprocess.CompletedProcess([], 0, stdout="Apple M3\n")]

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command == ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        if not answer:
            raise subprocess.TimeoutExpired(command, 5)
        done: subprocess.CompletedProcess[str] = answer.pop()
        return done

    fallback = platform.processor() or platform.machine()
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert name_processor() == "Apple M3"
    assert name_processor() == fallback
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert name_processor() == fallback


@pytest.mark.parametrize(("allowed", "most"), [(100_000, 65_536), (20_000, MACOS_DESCRIPTORS), (0, 256)])
def test_descriptors_are_as_many_as_the_system_gives(allowed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def set_limit(_: int, limits: tuple[int, int]) -> None:
        if limits[0] > allowed:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    assert raise_descriptor_limit(65_536) == most
