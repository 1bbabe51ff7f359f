//! HDF5 datatypes that are read as numbers.

use hdf5_pure::{Datatype, DatatypeByteOrder, EnumMember, FloatingPointLayout};

use crate::error::one_line;
use crate::number::{Elements, Number, NumberFormat};

/// IEEE floats, full-width integers and booleans as h5py writes them; everything else keeps its name.
pub(super) fn elements(datatype: &Datatype) -> Elements {
    let (number, byte_order) = match datatype {
        Datatype::FloatingPoint { size, byte_order, layout } => {
            const HALF: FloatingPointLayout = FloatingPointLayout {
                bit_offset: 0,
                bit_precision: 16,
                exponent_location: 10,
                exponent_size: 5,
                mantissa_location: 0,
                mantissa_size: 10,
                exponent_bias: 15,
            };
            let number = match (size, *layout) {
                (2, HALF) => Number::F16,
                (4, FloatingPointLayout::IEEE754_BINARY32) => Number::F32,
                (8, FloatingPointLayout::IEEE754_BINARY64) => Number::F64,
                _ => return Elements::Other(one_line(&datatype.to_string())),
            };
            (number, *byte_order)
        }
        Datatype::FixedPoint { size, byte_order, layout }
            if layout.bit_offset == 0 && u64::from(layout.bit_precision) == 8 * u64::from(*size) =>
        {
            let number = match (size, layout.signed) {
                (1, true) => Number::I8,
                (2, true) => Number::I16,
                (4, true) => Number::I32,
                (8, true) => Number::I64,
                (1, false) => Number::U8,
                (2, false) => Number::U16,
                (4, false) => Number::U32,
                (8, false) => Number::U64,
                _ => return Elements::Other(one_line(&datatype.to_string())),
            };
            (number, *byte_order)
        }
        Datatype::Enumeration { size: 1, members, .. } if is_boolean(members) => {
            return Elements::Numbers(NumberFormat { number: Number::Bool, big_endian: false });
        }
        _ => return Elements::Other(one_line(&datatype.to_string())),
    };
    match byte_order {
        DatatypeByteOrder::LittleEndian | DatatypeByteOrder::BigEndian => {
            Elements::Numbers(NumberFormat { number, big_endian: byte_order == DatatypeByteOrder::BigEndian })
        }
        DatatypeByteOrder::Vax => Elements::Other("VAX floating point".to_owned()),
    }
}

/// An enumeration of one byte with FALSE = 0 and TRUE = 1.
fn is_boolean(members: &[EnumMember]) -> bool {
    let value = |name: &str| members.iter().find(|m| m.name == name).map(|m| m.value.as_slice());
    members.len() == 2 && value("FALSE") == Some(&[0]) && value("TRUE") == Some(&[1])
}
