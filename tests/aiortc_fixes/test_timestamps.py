"""RTP timestamps out of order, wrapped and begun anew; the first test tells when the work-around may go."""

from __future__ import annotations

from aiortc.rtcrtpreceiver import TimestampMapper

import aiortc_fixes
from aiortc_fixes.timestamps import SerialTimestampMapper
from tests.aiortc_fixes.test_aiortc_fixes import offered, private
from tests.server.world import Camera


def test_aiortc_still_takes_a_late_timestamp_for_a_wrapped_one() -> None:
    mapper = TimestampMapper()
    assert [mapper.map(stamp) for stamp in (1000, 7000, 4000, 10000)] == [0, 6000, 2**32 + 3000, 2**32 + 9000]


def test_timestamps_stay_in_order_whatever_comes() -> None:
    mapper = SerialTimestampMapper()
    assert [mapper.map(stamp) for stamp in (1000, 7000, 4000, 10000)] == [0, 6000, 3000, 9000]
    wrapping = SerialTimestampMapper()
    assert [wrapping.map(stamp % 2**32) for stamp in (2**32 - 3000, 2**32, 2**32 - 1500, 2**32 + 3000)] == [
        0,
        3000,
        1500,
        6000,
    ]
    anew = SerialTimestampMapper()
    assert [anew.map(stamp) for stamp in (90_000_000, 90_003_000, 5_000, 8_000)] == [0, 3000, 3001, 6001]


async def test_receivers_unwrap_timestamps_so() -> None:
    aiortc_fixes.install()
    async with offered(Camera()) as (peer, _):
        assert isinstance(private(peer, 0, "timestamp_mapper"), SerialTimestampMapper)
