//! The lookups with btf.

use super::Types;

impl Types for btf::Btf {
    fn member(&self, container: &str, path: &str) -> Option<u32> {
        let mut ty = &self.get_type_by_name(container).ok()?.base_type;
        let mut bits = 0;
        for name in path.split('.') {
            let (at, id) = member(self, ty, name)?;
            bits += at;
            ty = &self.get_type_by_id(id).ok()?.base_type;
        }
        Some(bits / 8)
    }

    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        let btf::Type::Enum32(ty) = &self.get_type_by_name(of).ok()?.base_type else { return None };
        let entry = ty.entries.iter().find(|entry| entry.name.as_deref() == Some(name))?;
        u32::try_from(entry.value).ok()
    }

    fn function(&self, name: &str) -> Option<u32> {
        match &self.get_type_by_name(name).ok()?.base_type {
            btf::Type::FunctionProto(prototype) => Some(prototype.params.len() as u32),
            _ => None,
        }
    }

    fn hook(&self, name: &str) -> Option<u32> {
        self.function(name)
    }
}

/// The offset of a member in bits, and the id of its type.
fn member(types: &btf::Btf, ty: &btf::Type, name: &str) -> Option<(u32, u32)> {
    let (btf::Type::Struct(ty) | btf::Type::Union(ty)) = ty else { return None };
    ty.members.iter().find_map(|found| {
        let found_name = found.name.as_deref().unwrap_or_default();
        if found_name == name {
            return Some((found.offset, found.type_id));
        }
        let inner = || member(types, &types.get_type_by_id(found.type_id).ok()?.base_type, name);
        let (at, id) = found_name.is_empty().then(inner)??;
        Some((found.offset + at, id))
    })
}
