//! What packs the blocks of recordings. The recording is `TRACER_RECORDING`, or one of the tests'.

use std::{env, fs, hint::black_box, path::PathBuf};

use bytes::{Buf as _, Bytes};
use criterion::{Criterion, Throughput};
use tracer::recording::block::{HEAD, Unpacker, head};

/// Packs bytes.
type Packer = fn(&[u8]) -> Vec<u8>;

const PACKERS: [(&str, Packer); 4] = [
    ("zstd 1", |bytes| zstd::bulk::compress(bytes, 1).unwrap()),
    ("zstd 3", |bytes| zstd::bulk::compress(bytes, 3).unwrap()),
    ("zstd -5", |bytes| zstd::bulk::compress(bytes, -5).unwrap()),
    ("lz4", lz4_flex::compress),
];

/// The entries of all blocks, not packed.
fn blocks() -> Vec<Bytes> {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/version-1.rec");
    let path = env::var_os("TRACER_RECORDING").map_or_else(|| PathBuf::from(made), PathBuf::from);
    let mut rest = Bytes::from(fs::read(path).unwrap());
    let mut blocks = Vec::new();
    while let Some(head) = head(&rest) {
        let mut block = rest.split_to(head.block_len());
        block.advance(HEAD);
        blocks.push(Unpacker::default().unpack(&head, &block).unwrap().to_vec().into());
    }
    blocks
}

pub(crate) fn all(criterion: &mut Criterion) {
    let blocks = blocks();
    let len: usize = blocks.iter().map(Bytes::len).sum();
    let mut group = criterion.benchmark_group("packing");
    group.throughput(Throughput::Bytes(len as u64));
    for (name, pack) in PACKERS {
        let packed: usize = blocks.iter().map(|block| pack(block).len()).sum();
        println!("{name}: {len} bytes become {packed}, {:.1} % of them", packed as f64 * 100.0 / len as f64);
        group.bench_function(name, |bencher| {
            bencher.iter(|| blocks.iter().map(|block| black_box(pack(block)).len()).sum::<usize>());
        });
    }
    group.finish();
}
