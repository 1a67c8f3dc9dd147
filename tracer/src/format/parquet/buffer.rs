//! The values of a column that are not written yet.

use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType},
    column::writer::ColumnWriter,
    errors::ParquetError,
    file::writer::SerializedRowGroupWriter,
    schema::types::{ColumnDescPtr, Type},
};

use crate::format::{
    gathered::Gathered,
    parquet::{
        chunk::{Chunks, Dictionary},
        presence::Presence,
        words::{Seen, Words},
    },
    value::DataType,
};

/// Nanoseconds in a microsecond.
const MICROSECOND: i64 = 1_000;

/// The values of a column.
pub(super) struct ColumnBuffer {
    presence: Presence,
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
        Self { presence: Presence::default(), values }
    }

    /// Adds the values of some rows. A column has values of its type alone: a test of the table of columns sees to it.
    pub(super) fn extend(&mut self, gathered: &Gathered<'_>) {
        self.presence.push(gathered.present(), gathered.rows());
        let numbers = gathered.numbers().iter();
        match &mut self.values {
            // All 64 bits of an identifier count; whatever counts something stays below 2^63.
            Values::Integers(values) | Values::Times(values) => {
                values.extend(numbers.map(|number| number.cast_signed()));
            }
            Values::Fractions(values) => values.extend(numbers.map(|ns| micros(*ns))),
            Values::Truths(values) => values.extend(numbers.map(|truth| *truth != 0)),
            Values::Texts(words) => {
                let mut seen = Seen::default();
                let texts = gathered.texts().iter();
                words.ids.extend(texts.map(|text| words.known.id_of(text, &mut seen)));
            }
        }
    }

    /// The order of rows by these times; `None` if they are in order. Rows without a time come last.
    pub(super) fn order(&self) -> Option<Vec<usize>> {
        let Values::Times(times) = &self.values else {
            return None;
        };
        if times.len() == self.presence.rows() && times.is_sorted() {
            return None;
        }
        let mut times = times.iter();
        let keys = self.presence.iter().map(|is_there| if is_there { times.next().copied() } else { None });
        let keys: Vec<_> = keys.map(|time_ns| time_ns.unwrap_or(i64::MAX)).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|row| keys[*row]);
        Some(order)
    }

    /// Puts rows into this order.
    pub(super) fn sort(&mut self, order: &[usize]) {
        let is_there: Vec<bool> = self.presence.iter().collect();
        match &mut self.values {
            Values::Integers(values) | Values::Times(values) => sort(values, &is_there, order),
            Values::Fractions(values) => sort(values, &is_there, order),
            Values::Truths(values) => sort(values, &is_there, order),
            Values::Texts(words) => sort(&mut words.ids, &is_there, order),
        }
        self.presence = order.iter().map(|row| is_there[*row]).collect();
    }

    /// Writes all values, after which there are none.
    pub(super) fn write(
        &mut self,
        column: &ColumnDescPtr,
        chunks: &mut Chunks,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        if let Some(dictionary) = self.values.dictionary() {
            let (bytes, close) = chunks.of(column, &self.presence, dictionary)?;
            group.append_column(&bytes, close)?;
        } else if let Some(mut writer) = group.next_column()? {
            self.values.write(chunks.levels(&self.presence), writer.untyped())?;
            writer.close()?;
        }
        self.presence.clear();
        self.values.clear();
        Ok(())
    }
}

impl Values {
    /// The different values, and which of them rows have; `None` if there are too many.
    fn dictionary(&mut self) -> Option<Dictionary<'_>> {
        match self {
            Self::Integers(values) => are_same(values).then(|| Dictionary::of_integer(values)),
            Self::Times(values) => values.is_empty().then(|| Dictionary::of_integer(values)),
            Self::Truths(_) => None,
            Self::Fractions(values) => values.is_empty().then(Dictionary::of_no_fraction),
            Self::Texts(words) => Some(Dictionary::of_texts(&mut words.ids, &words.known.texts)),
        }
    }

    fn write(&mut self, levels: &[i16], writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(levels);
        match (self, writer) {
            (Self::Integers(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
            }
            (Self::Times(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                for time_ns in values.iter_mut() {
                    *time_ns = time_ns.div_euclid(MICROSECOND);
                }
                writer.write_batch(values, levels, None)?;
            }
            (Self::Fractions(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
            }
            (Self::Truths(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
            }
            _ => return Err(ParquetError::General("a column has another type than its values".into())),
        }
        Ok(())
    }

    fn clear(&mut self) {
        match self {
            Self::Integers(values) | Self::Times(values) => values.clear(),
            Self::Fractions(values) => values.clear(),
            Self::Truths(values) => values.clear(),
            Self::Texts(words) => words.clear(),
        }
    }
}

fn are_same(numbers: &[i64]) -> bool {
    numbers.first().is_none_or(|first| numbers.iter().all(|number| number == first))
}

/// Microseconds, as JSON has them: the nearest number to the decimal one.
#[allow(clippy::cast_precision_loss)]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// Puts the values of the rows that have one into the order of rows.
fn sort<T: Copy>(values: &mut Vec<T>, is_there: &[bool], order: &[usize]) {
    let mut next = 0;
    let places: Vec<usize> = is_there
        .iter()
        .map(|is_there| {
            let place = next;
            next += usize::from(*is_there);
            place
        })
        .collect();
    *values = order.iter().filter(|row| is_there[**row]).map(|row| values[places[*row]]).collect();
}
