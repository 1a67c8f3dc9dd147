//! A column in a group of rows, encoded with a dictionary. Texts have numbers already; the library's writer would
//! clone, hash and compare the text of each row to give it one. And what is the same in all rows takes it as long as what is not.

use std::io;

use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, PageType, ZstdLevel},
    column::{
        page::{CompressedPage, Page, PageWriter as _},
        writer::ColumnCloseResult,
    },
    data_type::{AsBytes as _, ByteArray},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, PageEncodingStats},
        statistics::Statistics,
        writer::{SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};
use zstd::bulk::Compressor;

use crate::format::parquet::presence::Presence;

/// A text that is not in the dictionary yet.
const NEW: u32 = u32::MAX;

/// The different values of a column, and which of them rows have.
pub(super) struct Dictionary<'a> {
    /// The values, as Parquet's plain encoding has them.
    plain: Vec<u8>,
    entries: usize,
    places: RowEntries<'a>,
    extremes: Extremes,
}

/// The places in a dictionary of the values that rows have.
enum RowEntries<'a> {
    /// So many rows have the first one.
    First(usize),
    Each(&'a [u32]),
}

/// The least and the greatest value, if there is any.
enum Extremes {
    Integer(Option<i64>),
    NoFraction,
    Texts(Option<(ByteArray, ByteArray)>),
}

/// Makes columns with dictionaries.
pub(super) struct Chunks {
    compressor: Compressor<'static>,
    /// Of the last column for which they were asked.
    levels: Vec<i16>,
}

impl Chunks {
    pub(super) fn new() -> io::Result<Self> {
        let compressor = Compressor::new(ZstdLevel::default().compression_level())?;
        Ok(Self { compressor, levels: Vec::new() })
    }

    /// For each row 1, or 0 if it has no value, for the library's own writers.
    pub(super) fn levels(&mut self, presence: &Presence) -> &[i16] {
        self.levels.clear();
        self.levels.extend(presence.iter().map(i16::from));
        &self.levels
    }

    /// The column in which each row that has a value has the next of the dictionary's places.
    pub(super) fn of(
        &mut self,
        column: &ColumnDescPtr,
        presence: &Presence,
        dictionary: Dictionary<'_>,
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let Dictionary { plain, entries, places, extremes } = dictionary;
        let (rows, nulls) = (presence.rows(), presence.nulls());
        let mut page = vec![0; 4];
        if nulls == 0 || nulls == rows {
            push_run(&mut page, rows, u32::from(nulls == 0), 1);
        } else {
            push_varint(&mut page, rows.div_ceil(8) << 1 | 1);
            page.extend(presence.packed());
        }
        let len = u32::try_from(page.len() - 4).unwrap_or_default();
        page[..4].copy_from_slice(&len.to_le_bytes());
        let width = entries.saturating_sub(1).checked_ilog2().unwrap_or(0) + 1;
        page.push(width.to_le_bytes()[0]);
        match places {
            RowEntries::First(0) => {}
            RowEntries::First(rows) => push_run(&mut page, rows, 0, width),
            RowEntries::Each(places) => push_hybrid(&mut page, places, width),
        }

        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let (num_dictionary, num_values) = (count(entries)?, count(rows)?);
        let first = Page::DictionaryPage {
            buf: self.compress(&plain)?,
            num_values: num_dictionary,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let second = Page::DataPage {
            buf: self.compress(&page)?,
            num_values,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let dictionary_spec = writer.write_page(CompressedPage::new(first, plain.len()))?;
        let data_spec = writer.write_page(CompressedPage::new(second, page.len()))?;
        let uncompressed = dictionary_spec.uncompressed_size + data_spec.uncompressed_size;

        let stats = |page_type, encoding| PageEncodingStats { page_type, encoding, count: 1 };
        let metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_page_encoding_stats(vec![
                stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN),
                stats(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY),
            ])
            .set_total_compressed_size(size(sink.bytes_written())?)
            .set_total_uncompressed_size(size(uncompressed)?)
            .set_num_values(num_values.into())
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(size(usize::try_from(data_spec.offset).unwrap_or_default())?)
            .set_statistics(extremes.statistics(nulls as u64))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: sink.bytes_written() as u64,
            rows_written: num_values.into(),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((sink.into_inner()?.into(), close))
    }

    fn compress(&mut self, bytes: &[u8]) -> Result<Bytes, ParquetError> {
        Ok(self.compressor.compress(bytes)?.into())
    }
}

impl<'a> Dictionary<'a> {
    /// Numbers that are all the same.
    pub(super) fn of_integer(numbers: &[i64]) -> Self {
        let number = numbers.first().copied();
        Self {
            plain: number.map(|number| number.to_le_bytes().to_vec()).unwrap_or_default(),
            entries: usize::from(number.is_some()),
            places: RowEntries::First(numbers.len()),
            extremes: Extremes::Integer(number),
        }
    }

    /// No row has a value.
    pub(super) fn of_no_fraction() -> Self {
        Self { plain: Vec::new(), entries: 0, places: RowEntries::First(0), extremes: Extremes::NoFraction }
    }

    /// Texts by their numbers, in the order of the first row with each. Puts places in place of the numbers.
    pub(super) fn of_texts(ids: &'a mut [u32], texts: &[ByteArray]) -> Self {
        let (mut place_of, mut used) = (vec![NEW; texts.len()], Vec::new());
        for id in &mut *ids {
            let place = &mut place_of[*id as usize];
            if *place == NEW {
                // There are fewer texts than rows, and fewer rows than NEW.
                *place = u32::try_from(used.len()).unwrap_or(NEW);
                used.push(&texts[*id as usize]);
            }
            *id = *place;
        }
        let mut plain = Vec::new();
        for text in &used {
            plain.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
            plain.extend(text.as_bytes());
        }
        let least = used.iter().min_by_key(|text| text.as_bytes());
        let greatest = used.iter().max_by_key(|text| text.as_bytes());
        let extremes = least.zip(greatest).map(|(least, greatest)| ((*least).clone(), (*greatest).clone()));
        Self {
            plain,
            entries: used.len(),
            places: RowEntries::Each(ids),
            extremes: Extremes::Texts(extremes),
        }
    }
}

impl Extremes {
    fn statistics(self, nulls: u64) -> Statistics {
        let nulls = Some(nulls);
        match self {
            Self::Integer(number) => Statistics::int64(number, number, None, nulls, false),
            Self::NoFraction => Statistics::double(None, None, None, nulls, false),
            Self::Texts(extremes) => {
                let (least, greatest) = extremes.unzip();
                Statistics::byte_array(least, greatest, None, nulls, false)
            }
        }
    }
}

/// Numbers of so many bits, in Parquet's hybrid encoding: a run if all are the same, or else packed bits.
fn push_hybrid(out: &mut Vec<u8>, numbers: &[u32], width: u32) {
    let Some(first) = numbers.first() else { return };
    if numbers.iter().all(|number| number == first) {
        return push_run(out, numbers.len(), *first, width);
    }
    let eights = numbers.len().div_ceil(8);
    push_varint(out, eights << 1 | 1);
    let end = out.len() + eights * width as usize;
    out.reserve(end + 8 - out.len());
    let (mut bits, mut len) = (0_u64, 0);
    for number in numbers {
        bits |= u64::from(*number) << len;
        len += width;
        if len >= u32::BITS {
            out.extend(&bits.to_le_bytes()[..4]);
            bits >>= u32::BITS;
            len -= u32::BITS;
        }
    }
    out.extend(&bits.to_le_bytes()[..4]);
    // The last eight may be fewer.
    out.resize(end, 0);
}

/// The same number of so many bits, in the same encoding.
fn push_run(out: &mut Vec<u8>, count: usize, number: u32, width: u32) {
    push_varint(out, count << 1);
    out.extend(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn push_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn count(number: usize) -> Result<u32, ParquetError> {
    Ok(u32::try_from(number)?)
}

fn size(number: usize) -> Result<i64, ParquetError> {
    Ok(i64::try_from(number)?)
}
