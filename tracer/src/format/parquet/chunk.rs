//! A column of texts in a group of rows, encoded. The texts have numbers already; the library's writer would
//! clone, hash and compare the text of each row to give it one.

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

/// A text that is not in the dictionary yet.
const NEW: u32 = u32::MAX;

/// Makes columns of texts.
pub(super) struct Chunks {
    compressor: Compressor<'static>,
}

impl Chunks {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { compressor: Compressor::new(ZstdLevel::default().compression_level())? })
    }

    /// The column in which each row with a level of 1 has the next of `ids`, a place in `texts`.
    pub(super) fn of_texts(
        &mut self,
        column: &ColumnDescPtr,
        levels: &[i16],
        ids: &[u32],
        texts: &[ByteArray],
    ) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
        let (dictionary, ids) = dictionary(ids, texts);
        let entries = dictionary.len();
        let mut plain = Vec::new();
        for text in &dictionary {
            plain.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
            plain.extend(text.as_bytes());
        }
        let mut page = vec![0; 4];
        push_hybrid(&mut page, levels.iter().map(|level| u32::from(*level != 0)), 1);
        let len = u32::try_from(page.len() - 4).unwrap_or_default();
        page[..4].copy_from_slice(&len.to_le_bytes());
        let width = entries.saturating_sub(1).checked_ilog2().unwrap_or(0) + 1;
        page.push(width.to_le_bytes()[0]);
        push_hybrid(&mut page, ids.iter().copied(), width);

        let mut sink = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut sink);
        let (num_dictionary, num_values) = (count(entries)?, count(levels.len())?);
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

        let nulls = levels.len() - ids.len();
        let by_bytes = |text: &&&ByteArray| text.as_bytes().to_vec();
        let least = dictionary.iter().min_by_key(by_bytes).map(|text| ByteArray::clone(text));
        let most = dictionary.iter().max_by_key(by_bytes).map(|text| ByteArray::clone(text));
        let statistics = Statistics::byte_array(least, most, None, u64::try_from(nulls).ok(), false);
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
            .set_statistics(statistics)
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

/// The texts that rows have, in the order of the first row with each, and the place there of each row's.
fn dictionary<'a>(ids: &[u32], texts: &'a [ByteArray]) -> (Vec<&'a ByteArray>, Vec<u32>) {
    let (mut places, mut dictionary) = (vec![NEW; texts.len()], Vec::new());
    let place = |id: &u32| {
        let place = &mut places[*id as usize];
        if *place == NEW {
            // There are fewer texts than rows, and fewer rows than NEW.
            *place = u32::try_from(dictionary.len()).unwrap_or(NEW);
            dictionary.push(&texts[*id as usize]);
        }
        *place
    };
    let ids = ids.iter().map(place).collect();
    (dictionary, ids)
}

/// Numbers of so many bits, in Parquet's hybrid encoding: a run if all are the same, or else packed bits.
fn push_hybrid(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u32> + Clone, width: u32) {
    let (count, mut rest) = (numbers.len(), numbers.clone());
    let Some(first) = rest.next() else { return };
    if rest.all(|number| number == first) {
        push_varint(out, count << 1);
        out.extend(&first.to_le_bytes()[..width.div_ceil(8) as usize]);
        return;
    }
    let eights = count.div_ceil(8);
    push_varint(out, eights << 1 | 1);
    let end = out.len() + eights * width as usize;
    out.reserve(end + 8 - out.len());
    let (mut bits, mut len) = (0_u64, 0);
    for number in numbers {
        bits |= u64::from(number) << len;
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
