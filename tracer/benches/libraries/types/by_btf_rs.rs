//! The lookups with btf-rs.

use super::Types;

impl Types for btf_rs::Btf {
    fn member(&self, container: &str, path: &str) -> Option<u32> {
        use btf_rs::Type::Struct;
        let mut ty =
            self.resolve_types_by_name(container).ok()?.into_iter().find(|ty| matches!(ty, Struct(_)))?;
        let mut bits = 0;
        for name in path.split('.') {
            let (at, member) = within(self, &ty, name)?;
            bits += at;
            ty = member;
        }
        Some(bits / 8)
    }

    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        self.resolve_types_by_name(of).ok()?.into_iter().find_map(|ty| {
            let btf_rs::Type::Enum(ty) = ty else { return None };
            let is_it =
                |member: &&btf_rs::EnumMember| self.resolve_name(*member).is_ok_and(|found| found == name);
            ty.members.iter().find(is_it).map(btf_rs::EnumMember::val)
        })
    }

    fn function(&self, name: &str) -> Option<u32> {
        self.resolve_types_by_name(name).ok()?.into_iter().find_map(|ty| match ty {
            btf_rs::Type::Func(function) => arguments(&self.resolve_chained_type(&function).ok()?),
            _ => None,
        })
    }

    fn hook(&self, name: &str) -> Option<u32> {
        self.resolve_types_by_name(name).ok()?.into_iter().find_map(|ty| match ty {
            btf_rs::Type::Typedef(typedef) => {
                let pointer = self.resolve_chained_type(&typedef).ok()?;
                arguments(&self.resolve_chained_type(pointer.as_btf_type()?).ok()?)
            }
            _ => None,
        })
    }
}

/// The offset of a member in bits, and its type without typedefs and qualifiers.
fn within(btf: &btf_rs::Btf, ty: &btf_rs::Type, name: &str) -> Option<(u32, btf_rs::Type)> {
    use btf_rs::Type::{Const, Restrict, Struct, TypeTag, Typedef, Union, Volatile};
    let (Struct(ty) | Union(ty)) = ty else { return None };
    let bare = |member| {
        let mut ty = btf.resolve_chained_type(member).ok()?;
        while matches!(ty, Typedef(_) | Const(_) | Volatile(_) | Restrict(_) | TypeTag(_)) {
            ty = btf.resolve_chained_type(ty.as_btf_type()?).ok()?;
        }
        Some(ty)
    };
    ty.members.iter().find_map(|member| {
        let found = btf.resolve_name(member).ok()?;
        if found == name {
            return Some((member.bit_offset(), bare(member)?));
        }
        let (at, inner) = found.is_empty().then(|| within(btf, &bare(member)?, name))??;
        Some((member.bit_offset() + at, inner))
    })
}

fn arguments(prototype: &btf_rs::Type) -> Option<u32> {
    match prototype {
        btf_rs::Type::FuncProto(prototype) => Some(prototype.parameters.len() as u32),
        _ => None,
    }
}
