//! Apache Parquet, for engines that query many files: DuckDB, ClickHouse, Spark, Polars.
//!
//! Rows are collected, and written in groups. Integers are INT64, because not every engine has unsigned
//! ones, and times microseconds, because not every engine has nanoseconds; the column `time_ns` has those.
//!
//! # Layout
//! - here: [`Parquet`]; `buffer`: the values of a column; `words`: those of a column of text
//! - `presence`: which rows have a value; `chunk`: a column with few different values, encoded

mod buffer;
mod chunk;
mod presence;
mod words;

use std::{mem, slice, sync::Arc};

use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::SortingColumn,
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::{ColumnPath, Type},
};

use crate::format::{
    Format, ShownColumn,
    gathered::Gathered,
    parquet::{buffer::ColumnBuffer, chunk::Chunks},
    subject::{Story, Subject},
    value::DataType,
};

/// Rows in a group, or a few more. Engines read groups in parallel, and leave out those that a filter on times excludes.
const GROUP: usize = 1 << 17;

/// Rows in a page of a column: a long page costs less to write and to read.
const ROWS_IN_PAGE: usize = 1 << 16;

/// Writes Parquet.
pub struct Parquet<S: Subject = Story> {
    columns: Vec<ShownColumn<S>>,
    buffers: Vec<ColumnBuffer>,
    rows: usize,
    /// The column that rows are sorted by: the first one with times.
    sorted_by: Option<usize>,
    /// Writes into memory, from where bytes are taken after each group; `None` before the beginning and after
    /// the end.
    writer: Option<SerializedFileWriter<Vec<u8>>>,
}

impl<S: Subject> Parquet<S> {
    /// Creates the format with these columns.
    #[must_use]
    pub fn new(columns: Vec<ShownColumn<S>>) -> Self {
        let buffers = columns.iter().map(|column| ColumnBuffer::new(column.column.data_type)).collect();
        let is_time = |column: &ShownColumn<S>| column.column.data_type == DataType::Timestamp;
        Self { buffers, rows: 0, sorted_by: columns.iter().position(is_time), writer: None, columns }
    }

    fn start(&self) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
        let fields = self
            .columns
            .iter()
            .map(|column| buffer::schema(column.column.key, column.column.data_type).map(Arc::new));
        let schema = Type::group_type_builder("tracer").with_fields(fields.collect::<Result<_, _>>()?);
        SerializedFileWriter::new(Vec::new(), Arc::new(schema.build()?), Arc::new(self.properties()))
    }

    fn properties(&self) -> WriterProperties {
        let sorted_by = self.sorted_by.and_then(|column| i32::try_from(column).ok());
        let sorting = sorted_by
            .map(|column_idx| vec![SortingColumn { column_idx, descending: false, nulls_first: false }]);
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("tracer ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_data_page_row_count_limit(ROWS_IN_PAGE)
            .set_sorting_columns(sorting)
            .set_dictionary_enabled(false);
        for column in &self.columns {
            let path = ColumnPath::from(column.column.key);
            properties = match column.column.data_type {
                DataType::UInt64 | DataType::Timestamp => {
                    properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
                }
                DataType::Utf8 | DataType::Map | DataType::List => {
                    properties.set_column_dictionary_enabled(path, true)
                }
                DataType::Boolean | DataType::Float64 => properties,
            };
        }
        properties.build()
    }

    /// Writes the rows that were collected.
    fn write_group(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if mem::take(&mut self.rows) > 0 {
            if let Some(order) = self.sorted_by.and_then(|column| self.buffers[column].order()) {
                self.buffers.iter_mut().for_each(|buffer| buffer.sort(&order));
            }
            let columns = writer.schema_descr().columns().to_vec();
            let mut chunks = Chunks::new()?;
            let mut group = writer.next_row_group()?;
            for (column, buffer) in columns.iter().zip(&mut self.buffers) {
                buffer.write(column, &mut chunks, &mut group)?;
            }
            group.close()?;
            writer.flush()?;
        }
        out.append(writer.inner_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ParquetError> {
        self.write_group(out)?;
        if let Some(mut writer) = self.writer.take() {
            writer.finish()?;
            out.append(writer.inner_mut());
        }
        Ok(())
    }

    /// Writing into memory does not fail. If it does, the file gets no end, which readers refuse.
    fn check(&mut self, result: Result<(), ParquetError>) {
        if let Err(error) = result {
            log::error!("Parquet: {error}");
            self.writer = None;
        }
    }
}

impl<S: Subject> Format<S> for Parquet<S> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let begun = self.start().and_then(|mut writer| {
            writer.flush()?;
            out.append(writer.inner_mut());
            self.writer = Some(writer);
            Ok(())
        });
        self.check(begun);
    }

    fn rows_at_once(&self) -> usize {
        Gathered::MOST_ROWS
    }

    fn line(&mut self, row: &S::About<'_>, out: &mut Vec<u8>) {
        self.lines(slice::from_ref(row), out);
    }

    fn lines(&mut self, rows: &[S::About<'_>], out: &mut Vec<u8>) {
        let mut gathered = Gathered::default();
        for rows in rows.chunks(Gathered::MOST_ROWS) {
            for (column, buffer) in self.columns.iter().zip(&mut self.buffers) {
                column.gather(rows, &mut gathered);
                buffer.extend(&gathered);
            }
        }
        self.rows += rows.len();
        if self.rows >= GROUP {
            let written = self.write_group(out);
            self.check(written);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let finished = self.finish(out);
        self.check(finished);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::IpAddr};

    use bytes::Bytes;
    use parquet::{
        file::{reader::FileReader as _, serialized_reader::SerializedFileReader},
        record::Field,
    };
    use tracer_common::{Event, event::AF_INET, state};
    use zerocopy::FromZeros as _;

    use crate::{
        facts::context::Context,
        format::{
            Kind, Plan,
            columns::{COLUMNS, DefaultIn},
            row::Row,
            text::{TextStyle, TimeFormat},
        },
        time::clock::Clock,
    };

    use super::GROUP;

    type Rows = Vec<BTreeMap<String, Field>>;

    /// A file with rows at these times, in milliseconds.
    fn file(times_ms: impl Iterator<Item = u64>) -> SerializedFileReader<Bytes> {
        let keys = ["time", "time_ns", "comm", "pid", "local_addr", "remote_port", "new_state", "srtt_us"];
        let plan: Plan = Plan {
            kind: Kind::Parquet,
            columns: Some(COLUMNS.iter().filter(|column| keys.contains(&column.key)).collect()),
            default_in: (DefaultIn::RAW_TEXT, DefaultIn::RAW_DATA),
            style: TextStyle { time: TimeFormat::Utc, colour: false, precise: false },
        };
        let context = Context::new(Clock::fixed(0, 0));
        let (mut format, mut out) = (plan.format(&[]), Vec::new());
        format.begin(&mut out);
        for time_ms in times_ms {
            let mut event =
                Event { family: AF_INET, time_ns: time_ms * 1_000_000 + 1, ..Event::new_zeroed() };
            event.comm[..3].copy_from_slice(b"a\xff\\");
            (event.pid, event.new_state, event.remote_port) = (7, state::SYN_SENT, 443);
            event.local_addr[..4].copy_from_slice(&[10, 0, 0, 1]);
            format.line(&Row::raw(&event, &context), &mut out);
        }
        format.end(&mut out);
        SerializedFileReader::new(Bytes::from(out)).unwrap()
    }

    /// The rows of such a file, as a reader of Parquet sees them.
    fn written(times_ms: impl Iterator<Item = u64>) -> Rows {
        let file = file(times_ms);
        let rows = file.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().into_columns().into_iter().collect()).collect()
    }

    #[test]
    fn a_reader_gets_the_values() {
        let rows = written([5].into_iter());
        let row = &rows[0];
        assert_eq!(row["time"], Field::TimestampMicros(5_000));
        assert_eq!(row["time_ns"], Field::Long(5_000_001));
        assert_eq!(row["comm"], Field::Str("a\\xff\\\\".to_owned()));
        assert_eq!((&row["pid"], &row["remote_port"]), (&Field::Long(7), &Field::Long(443)));
        assert_eq!(row["new_state"], Field::Str("SYN_SENT".to_owned()));
        assert_eq!(row["srtt_us"], Field::Null);
        let Field::Str(addr) = &row["local_addr"] else { panic!("{row:?}") };
        addr.parse::<IpAddr>().unwrap();
    }

    #[test]
    fn rows_are_sorted_by_time_in_their_group() {
        let rows = written([3, 1, 2].into_iter());
        let times: Vec<_> = rows.iter().map(|row| row["time"].clone()).collect();
        assert_eq!(times, [1_000, 2_000, 3_000].map(Field::TimestampMicros));
    }

    /// Engines leave out groups of rows by these.
    #[test]
    fn statistics_are_those_of_the_values() {
        let file = file([3, 1, 2].into_iter());
        let group = file.metadata().row_group(0);
        let statistics = |key| {
            let column = group.columns().iter().find(|column| column.column_path().string() == key).unwrap();
            let statistics = column.statistics().unwrap();
            let bytes = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
            let (least, most) = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
            (bytes(least), bytes(most), statistics.null_count_opt().unwrap())
        };
        let number = |number: i64| number.to_le_bytes().to_vec();
        assert_eq!(statistics("time_ns"), (number(1_000_001), number(3_000_001), 0));
        assert_eq!(statistics("pid"), (number(7), number(7), 0));
        assert_eq!(statistics("srtt_us"), (vec![], vec![], 3));
        assert_eq!(statistics("new_state"), (b"SYN_SENT".to_vec(), b"SYN_SENT".to_vec(), 0));
    }

    #[test]
    fn there_may_be_no_row_or_several_groups() {
        assert_eq!(written(std::iter::empty()).len(), 0);
        assert_eq!(written(0..GROUP as u64 + 3).len(), GROUP + 3);
    }
}
