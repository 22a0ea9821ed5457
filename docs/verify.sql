-- The proof without our code: ClickHouse's table against the data files of the Iceberg table.
--
-- Run it with any ClickHouse client that knows the table; answers one line, `equal` 1 when both
-- hold the same rows. Each row becomes `<byte length>:<text>` of every column in the contract's
-- order, then of _seq, _idx and _stored_at; a range's fingerprint is the number of rows and the sum
-- of their XXH64 modulo 2^64. Floats count by their bits, timestamps in microseconds, maps sorted.
-- Fill in: lane, epoch and range (`ingest verify --output json` names them), and the place of the
-- Iceberg table. For a contract of your own, replace the columns.
WITH
    '{lane}' AS lane,
    '{epoch}' AS epoch,
    ({first}, {last}) AS sequences,
    (text) -> concat(toString(length(text)), ':', text) AS field,
    hot AS
    (
        SELECT _seq, xxHash64(concat(
                field(device_id), field(site), field(metric),
                field(toString(toUnixTimestamp64Micro(ts))),
                field(toString(reinterpretAsInt64(value))), field(unit), field(quality),
                field(arrayStringConcat(arrayMap(e -> concat(field(e.1), field(e.2)),
                    arraySort(arrayZip(mapKeys(attributes), mapValues(attributes)))))),
                field(toString(_seq)), field(toString(_idx)),
                field(toString(toUnixTimestamp64Micro(_stored_at))))) AS hash
        FROM iot.readings
        WHERE _lane = lane AND _epoch = epoch AND _seq BETWEEN sequences.1 AND sequences.2
    ),
    lake AS
    (
        SELECT _seq, xxHash64(concat(
                field(device_id), field(site), field(metric),
                field(toString(toUnixTimestamp64Micro(ts))),
                field(toString(reinterpretAsInt64(value))), field(unit), field(quality),
                field(arrayStringConcat(arrayMap(e -> concat(field(e.1), field(assumeNotNull(e.2))),
                    arraySort(arrayZip(mapKeys(attributes), mapValues(attributes)))))),
                field(toString(_seq)), field(toString(_idx)),
                field(toString(toUnixTimestamp64Micro(_stored_at))))) AS hash
        FROM icebergS3('{endpoint}/lake/iot/readings/', '{access_key}', '{secret_key}')
        WHERE _lane = lane AND _epoch = epoch AND _seq BETWEEN sequences.1 AND sequences.2
    )
SELECT
    (SELECT (count(), leftPad(hex(sum(hash)), 16, '0')) FROM hot) AS clickhouse,
    (SELECT (count(), leftPad(hex(sum(hash)), 16, '0')) FROM lake) AS iceberg,
    clickhouse = iceberg AS equal
