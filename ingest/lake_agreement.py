"""Does the lake hold what its watermark says? If not it was rolled back or rewritten: stop."""

from __future__ import annotations

from pyiceberg.table import Table
from pyiceberg.table.snapshots import ancestors_of

from ingest.errors import SinkBehindRecordError
from ingest.lane import Lane
from ingest.sinks.iceberg import IcebergSink
from ingest.sinks.iceberg_bounds import newest_in_data

ADVICE = "stop all writers of the lane and run `ingest repair lake`"


async def compare_with_data(lane: Lane, sink: IcebergSink, table: Table) -> None:
    """The watermark property and the rows in the data files must agree.

    Raises SinkBehindRecordError naming the first sequence that tells.
    """
    name = ".".join(sink.table_name)
    newest = await lane.patiently(
        lambda: newest_in_data(table, lane.name), "read the data files' bounds"
    )
    watermark, last_row = sink.watermark(table), sink.last_row(table)
    if watermark is None and newest:
        raise SinkBehindRecordError(
            f"{name} holds rows of {lane.name} but no watermark property: it was rolled"
            f" back or rewritten by another tool; {ADVICE}"
        )
    if watermark is not None and newest.get(watermark.epoch, 0) > watermark.sequence:
        raise SinkBehindRecordError(
            f"{name} holds sequence {newest[watermark.epoch]} of {lane.name}, above its"
            f" watermark {watermark}: the property was rolled back; {ADVICE}"
        )
    if last_row is not None and newest.get(last_row.epoch, 0) < last_row.sequence:
        raise SinkBehindRecordError(
            f"{name} lacks sequence {last_row.sequence} of {lane.name}, committed before:"
            f" the table was rolled back or rows were deleted; {ADVICE}"
        )


async def compare_with_base(lane: Lane, sink: IcebergSink, table: Table, base: int | None) -> None:
    """The snapshot ``base``, which this writer saw or made last, must be in the table's line.

    A roll-back leaves the properties as they are, so that the watermark alone would not tell.
    When the snapshot has expired, the data files are asked. Raises SinkBehindRecordError.
    """
    if base is None:
        return
    line = ancestors_of(table.current_snapshot(), table.metadata)
    if any(snapshot.snapshot_id == base for snapshot in line):
        return
    if table.snapshot_by_id(base) is not None:
        raise SinkBehindRecordError(
            f"{'.'.join(sink.table_name)} was rolled back behind snapshot {base}, which holds"
            f" {lane.name} up to {sink.watermark(table)}; {ADVICE}"
        )
    await compare_with_data(lane, sink, table)
