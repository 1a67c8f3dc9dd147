//! The inputs that a corpus begins with: everything that can be in a recording, in every way.

#[path = "../../tracer/tests/made/mod.rs"]
mod made;

use std::{fs, path::Path};

use crate::{AS_IT_IS, WAYS, input};
use self::made::{Piece, WEB};
use tracer::recording::{
    block::{HEAD, Unpacked, Unpacker, head},
    encoder::Encoder,
};

/// Writes them into a folder.
pub fn write(folder: &Path) {
    fs::create_dir_all(folder).expect("the folder");
    let mut pieces = made::pieces();
    pieces.insert(8, Piece::Fact(made::checkpoint(&WEB.conversation(10)[..3], 5)));
    let file = made::bytes(&made::header(), &pieces);
    let blocks = unpacked(&pieces);
    for way in 0..WAYS.len() {
        fs::write(folder.join(format!("blocks-{way}")), input(way, &blocks)).expect("an input");
        let how = AS_IT_IS | u8::try_from(way).expect("few ways");
        fs::write(folder.join(format!("file-{way}")), [&[how], &file[..]].concat()).expect("an input");
    }
}

/// The blocks of a recording, not packed, the header once.
fn unpacked(pieces: &[Piece]) -> Vec<Unpacked> {
    let mut encoder = Encoder::default();
    let packed = made::blocks(&mut encoder, &made::header(), pieces);
    let blocks = packed.into_iter().skip(1).map(|block| {
        let head = head(&block).expect("a block");
        let mut unpacker = Unpacker::default();
        let entries = unpacker.unpack(&head, &block[HEAD..]).expect("its entries");
        Unpacked {
            sequence: head.sequence.get(),
            events_before: head.events_before.get(),
            from_ns: head.from_ns.get(),
            entries: entries.to_vec(),
        }
    });
    blocks.collect()
}
