//! The lookups with btfparse.

use std::fs;

use btfparse::{Integer32Value, Offset, TypeInformation, TypeVariant};

use super::Types;

/// The bytes of a file.
struct Bytes(Vec<u8>);

impl btfparse::Readable for Bytes {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> btfparse::Result<()> {
        let begin = offset as usize;
        let bytes = self.0.get(begin..begin + buffer.len());
        let cut_off = || btfparse::Error::new(btfparse::ErrorKind::IOError, "cut off");
        buffer.copy_from_slice(bytes.ok_or_else(cut_off)?);
        Ok(())
    }
}

pub(super) fn read(path: &str) -> TypeInformation {
    TypeInformation::new(&Bytes(fs::read(path).unwrap())).unwrap()
}

impl Types for TypeInformation {
    fn member(&self, container: &str, path: &str) -> Option<u32> {
        match self.offset_of(self.id_of(container)?, path).ok()? {
            (_, Offset::ByteOffset(at)) => Some(at),
            (_, Offset::BitOffsetAndSize(..)) => None,
        }
    }

    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        let TypeVariant::Enum(ty) = self.from_id(self.id_of(of)?)? else { return None };
        let named = ty.named_value_list().iter().find(|named| named.name == name)?;
        match named.value {
            Integer32Value::Unsigned(value) => Some(value),
            Integer32Value::Signed(value) => u32::try_from(value).ok(),
        }
    }

    fn function(&self, name: &str) -> Option<u32> {
        let TypeVariant::Func(function) = self.from_id(self.id_of(name)?)? else { return None };
        self.prototype(*function.prototype_tid())
    }

    fn hook(&self, name: &str) -> Option<u32> {
        self.prototype(self.pointee_tid(self.id_of(name)?).ok()?)
    }
}

trait Prototype {
    fn prototype(&self, id: u32) -> Option<u32>;
}

impl Prototype for TypeInformation {
    fn prototype(&self, id: u32) -> Option<u32> {
        let TypeVariant::FuncProto(prototype) = self.from_id(id)? else { return None };
        Some(prototype.parameter_list().len() as u32)
    }
}
