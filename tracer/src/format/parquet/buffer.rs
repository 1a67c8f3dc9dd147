//! The values of a column that are not written yet.

use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType},
    column::writer::ColumnWriter,
    errors::ParquetError,
    file::writer::SerializedRowGroupWriter,
    schema::types::{ColumnDescPtr, Type},
};

use crate::format::{
    parquet::{chunk::Chunks, words::Words},
    value::{DataType, Value},
};

/// Nanoseconds in a microsecond.
const MICROSECOND: i64 = 1_000;

/// The values of a column.
pub(super) struct ColumnBuffer {
    /// For each row 1, or 0 if it has no value (Parquet's definition levels).
    levels: Vec<i16>,
    values: Values,
}

/// The values of the rows that have one.
enum Values {
    Integers(Vec<i64>),
    /// In nanoseconds.
    Times(Vec<i64>),
    Fractions(Vec<f64>),
    Truths(Vec<bool>),
    Texts(Box<Words>),
}

/// A column in the schema of the file.
pub(super) fn schema(key: &str, data_type: DataType) -> Result<Type, ParquetError> {
    let (physical, logical) = match data_type {
        DataType::Boolean => (PhysicalType::BOOLEAN, None),
        DataType::UInt64 => (PhysicalType::INT64, None),
        DataType::Float64 => (PhysicalType::DOUBLE, None),
        DataType::Timestamp => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        DataType::Utf8 | DataType::Map | DataType::List => {
            (PhysicalType::BYTE_ARRAY, Some(LogicalType::String))
        }
    };
    Type::primitive_type_builder(key, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

impl ColumnBuffer {
    pub(super) fn new(data_type: DataType) -> Self {
        let values = match data_type {
            DataType::Boolean => Values::Truths(Vec::new()),
            DataType::UInt64 => Values::Integers(Vec::new()),
            DataType::Float64 => Values::Fractions(Vec::new()),
            DataType::Timestamp => Values::Times(Vec::new()),
            DataType::Utf8 | DataType::Map | DataType::List => Values::Texts(Box::default()),
        };
        Self { levels: Vec::new(), values }
    }

    /// Adds the value of a row.
    #[inline]
    pub(super) fn push(&mut self, value: &Value<'_>) {
        let is_there = match (&mut self.values, value) {
            // A bound is not the value.
            (_, Value::Null | Value::NullAs(_) | Value::DurationAtLeast(_) | Value::NameOf(_, None)) => false,
            (Values::Integers(integers), Value::Uint(number)) => {
                // All 64 bits of an identifier count; whatever counts something stays below 2^63.
                integers.push(number.cast_signed());
                true
            }
            (Values::Times(times), Value::Time(wall_ns, _)) => {
                times.push(*wall_ns);
                true
            }
            (Values::Fractions(fractions), Value::Duration(ns) | Value::DurationAbout(ns, _)) => {
                fractions.push(micros(*ns));
                true
            }
            (Values::Truths(truths), Value::Bool(truth)) => {
                truths.push(*truth);
                true
            }
            (Values::Texts(words), value) => words.push(value),
            // A column has no values of other types: a test of the table of columns sees to it.
            _ => false,
        };
        self.levels.push(i16::from(is_there));
    }

    /// The order of rows by these times; `None` if they are in order. Rows without a time come last.
    pub(super) fn order(&self) -> Option<Vec<usize>> {
        let Values::Times(times) = &self.values else {
            return None;
        };
        if times.len() == self.levels.len() && times.is_sorted() {
            return None;
        }
        let mut times = times.iter();
        let keys = self.levels.iter().map(|level| if *level == 0 { None } else { times.next().copied() });
        let keys: Vec<_> = keys.map(|time_ns| time_ns.unwrap_or(i64::MAX)).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|row| keys[*row]);
        Some(order)
    }

    /// Puts rows into this order.
    pub(super) fn sort(&mut self, order: &[usize]) {
        match &mut self.values {
            Values::Integers(values) | Values::Times(values) => sort(values, &self.levels, order),
            Values::Fractions(values) => sort(values, &self.levels, order),
            Values::Truths(values) => sort(values, &self.levels, order),
            Values::Texts(words) => sort(&mut words.ids, &self.levels, order),
        }
        self.levels = order.iter().map(|row| self.levels[*row]).collect();
    }

    /// Writes all values, after which there are none.
    pub(super) fn write(
        &mut self,
        column: &ColumnDescPtr,
        chunks: &mut Chunks,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        if let Values::Texts(words) = &mut self.values {
            let (bytes, close) = chunks.of_texts(column, &self.levels, &words.ids, &words.texts)?;
            group.append_column(&bytes, close)?;
            words.clear();
        } else if let Some(mut writer) = group.next_column()? {
            self.values.write(&self.levels, writer.untyped())?;
            writer.close()?;
        }
        self.levels.clear();
        Ok(())
    }
}

impl Values {
    fn write(&mut self, levels: &[i16], writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(levels);
        match (self, writer) {
            (Self::Integers(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Self::Times(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                for time_ns in values.iter_mut() {
                    *time_ns = time_ns.div_euclid(MICROSECOND);
                }
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Self::Fractions(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Self::Truths(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            _ => return Err(ParquetError::General("a column has another type than its values".into())),
        }
        Ok(())
    }
}

/// Microseconds, as JSON has them: the nearest number to the decimal one.
#[allow(clippy::cast_precision_loss)]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// Puts the values of the rows that have one into the order of rows.
fn sort<T: Copy>(values: &mut Vec<T>, levels: &[i16], order: &[usize]) {
    let mut next = 0;
    let places: Vec<usize> = levels
        .iter()
        .map(|level| {
            let place = next;
            next += usize::from(*level != 0);
            place
        })
        .collect();
    *values = order.iter().filter(|row| levels[**row] != 0).map(|row| values[places[*row]]).collect();
}
