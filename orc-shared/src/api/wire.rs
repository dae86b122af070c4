//! The vocabulary as bytes, for executors in other processes.

use alloc::string::String;
use alloc::vec::Vec;

use super::{
    Allocated, AllocationRequest, Content, CopyRelocation, Export, Finalization, FinalizeRequest,
    FrameEntry, FunctionName, Import, ImportKind, ImportValue, LoadedLibrary, NativeKind,
    Placement, ProgramIdentity, ProgramImage, RangeId, SegmentKind, SegmentRequest, TlsAccess,
    TlsBlock, TlsPlace, TlsRequest, TlsRoom,
};
use crate::sps::{SpsDecode, SpsDecodeError, SpsEncode, SpsReader, SpsResult};
use crate::{
    AllocActionPair, ExecutorAddr, ExecutorAddrRange, Words, impl_sps_enum, impl_sps_struct,
};

impl_sps_enum!(Placement {
    NearLibraries = 0,
    Low2GiB = 1,
    Anywhere = 2,
});
impl_sps_enum!(SegmentKind { Text = 0, ReadOnly = 1, ReadWrite = 2 });
impl_sps_enum!(NativeKind { Function = 0, Data = 1, ThreadLocal = 2 });
impl_sps_enum!(ImportKind { Address = 0, TlsModuleAndOffset = 1, TpOffset = 2 });

impl_sps_struct!(ProgramIdentity {
    args: Vec<Vec<u8>>,
    path: Option<Vec<u8>>,
    again: Words,
});
impl_sps_struct!(SegmentRequest {
    kind: SegmentKind,
    content_size: u64,
    size: u64,
    align: u64,
});
impl_sps_struct!(AllocationRequest {
    range: RangeId,
    segments: Vec<SegmentRequest>,
    tls: Option<TlsRequest>,
    frames: Option<u64>,
});
impl_sps_enum!(TlsRoom { Fixed = 0, FixedIfFree = 1, Module = 2 });
impl_sps_struct!(TlsRequest {
    size: u64,
    align: u64,
    room: TlsRoom,
});
impl_sps_struct!(TlsBlock {
    id: u64,
    place: TlsPlace,
    size: u64,
});
impl_sps_struct!(TlsAccess {
    module: u64,
    tp_offset: i64,
    descriptor_function: ExecutorAddr,
});
impl_sps_struct!(Allocated {
    id: u64,
    addresses: Vec<ExecutorAddr>,
    tls: Option<TlsBlock>,
});
impl_sps_struct!(FrameEntry {
    pc: ExecutorAddr,
    fde: ExecutorAddr,
});
impl_sps_struct!(FunctionName {
    start: ExecutorAddr,
    size: u64,
    name: ExecutorAddr,
});
impl_sps_struct!(FinalizeRequest {
    frames: Vec<FrameEntry>,
    eh_frame: Option<ExecutorAddrRange>,
    functions: Vec<FunctionName>,
    tls_image: Vec<u8>,
    actions: Vec<AllocActionPair>,
});
impl_sps_struct!(LoadedLibrary {
    path: String,
    load_bias: ExecutorAddr,
    range: ExecutorAddrRange,
});
impl_sps_struct!(Import {
    name: Vec<u8>,
    version: Option<(Vec<u8>, Vec<u8>)>,
    kind: ImportKind,
    weak: bool,
});
impl_sps_struct!(ImportValue {
    value: u64,
    tls_offset: u64,
});
impl_sps_struct!(Export {
    name: Vec<u8>,
    version: Option<Vec<u8>>,
    addr: ExecutorAddr,
    size: u64,
    kind: NativeKind,
    redirect_loaded: bool,
});
impl_sps_struct!(CopyRelocation {
    name: Vec<u8>,
    library: String,
    file_addr: u64,
    to: ExecutorAddr,
    size: u64,
    read_only: bool,
});
impl_sps_struct!(ProgramImage {
    needed: Vec<String>,
    search_path: Vec<String>,
    search_path_for_all: bool,
    exports: Vec<Export>,
    imports: Vec<Import>,
    copies: Vec<CopyRelocation>,
    preinit_arrays: Vec<ExecutorAddrRange>,
    args: Vec<Vec<u8>>,
    executable_stack: bool,
});

impl SpsEncode for RangeId {
    fn sps_size(&self) -> usize {
        self.0.sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.0.sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for RangeId {
    const MIN_SIZE: usize = <u32 as SpsDecode<'a>>::MIN_SIZE;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        u32::sps_decode(input).map(Self)
    }
}

impl SpsEncode for TlsPlace {
    fn sps_size(&self) -> usize {
        self.value().sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.value().sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for TlsPlace {
    const MIN_SIZE: usize = <u64 as SpsDecode<'a>>::MIN_SIZE;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        u64::sps_decode(input).map(Self::from_value)
    }
}

const INLINE: u8 = 0;
const SHARED: u8 = 1;

impl SpsEncode for Content<'_> {
    fn sps_size(&self) -> usize {
        1 + match self {
            Self::Inline(bytes) => bytes.sps_size(),
            Self::Shared(offset) => offset.sps_size(),
        }
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline(bytes) => {
                out.push(INLINE);
                bytes.sps_encode(out);
            }
            Self::Shared(offset) => {
                out.push(SHARED);
                offset.sps_encode(out);
            }
        }
    }
}

impl<'a> SpsDecode<'a> for Content<'a> {
    const MIN_SIZE: usize = 1 + 8;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        let offset = input.offset();
        match u8::sps_decode(input)? {
            INLINE => <&[u8]>::sps_decode(input).map(Self::Inline),
            SHARED => u64::sps_decode(input).map(Self::Shared),
            value => Err(SpsDecodeError::UnknownVariant { offset, value }),
        }
    }
}

impl SpsEncode for Finalization<'_> {
    fn sps_size(&self) -> usize {
        self.id.sps_size() + self.content.sps_size() + self.request.sps_size()
    }
    fn sps_encode(&self, out: &mut Vec<u8>) {
        self.id.sps_encode(out);
        self.content.sps_encode(out);
        self.request.sps_encode(out);
    }
}

impl<'a> SpsDecode<'a> for Finalization<'a> {
    const MIN_SIZE: usize =
        8 + <Vec<Content<'a>>>::MIN_SIZE + <FinalizeRequest as SpsDecode<'a>>::MIN_SIZE;
    fn sps_decode(input: &mut SpsReader<'a>) -> SpsResult<Self> {
        Ok(Self {
            id: u64::sps_decode(input)?,
            content: Vec::sps_decode(input)?,
            request: FinalizeRequest::sps_decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::fmt::Debug;

    use super::*;
    use crate::AllocAction;
    use crate::sps::{decode, encode};

    /// The way there and back, that every truncation is an error, and that every flipped bit gives
    /// an error or another value.
    fn check<T>(value: &T)
    where
        T: SpsEncode + for<'a> SpsDecode<'a> + PartialEq + Debug,
    {
        let bytes = encode(value);
        assert_eq!(value.sps_size(), bytes.len());
        assert!(T::MIN_SIZE <= bytes.len());
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
        for end in 0..bytes.len() {
            assert!(
                decode::<T>(&bytes[..end]).is_err(),
                "{value:?} cut at {end}"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = decode::<T>(&flipped) {
                assert_ne!(other, *value);
                assert_eq!(encode(&other), flipped);
            }
        }
    }

    fn addr(value: u64) -> ExecutorAddr {
        ExecutorAddr::new(value)
    }

    fn range(start: u64) -> ExecutorAddrRange {
        ExecutorAddrRange::from_size(addr(start), 16)
    }

    #[test]
    fn memory() {
        check(&Placement::Low2GiB);
        check(&(RangeId(3), range(0x1000)));
        check(&vec![AllocationRequest {
            range: RangeId(1),
            segments: vec![SegmentRequest {
                kind: SegmentKind::ReadOnly,
                content_size: 5,
                size: 6,
                align: 8,
            }],
            tls: Some(TlsRequest {
                size: 16,
                align: 8,
                room: TlsRoom::FixedIfFree,
            }),
            frames: Some(7),
        }]);
        check(&vec![
            Some(Allocated {
                id: 9,
                addresses: vec![addr(0x2000)],
                tls: Some(TlsBlock {
                    id: 1,
                    place: TlsPlace::Fixed(-64),
                    size: 16,
                }),
            }),
            None,
        ]);
    }

    #[test]
    fn thread_locals() {
        check(&TlsBlock {
            id: 1,
            place: TlsPlace::Module {
                module: 2,
                offset: 3,
            },
            size: 4,
        });
        check(&TlsAccess {
            module: 2,
            tp_offset: -0x90,
            descriptor_function: addr(0x4000),
        });
    }

    #[test]
    fn finalization() {
        let value = Finalization {
            id: 4,
            content: vec![Content::Inline(b"code"), Content::Shared(8192)],
            request: FinalizeRequest {
                frames: vec![FrameEntry {
                    pc: addr(1),
                    fde: addr(2),
                }],
                eh_frame: Some(range(0x3000)),
                functions: vec![FunctionName {
                    start: addr(6),
                    size: 8,
                    name: addr(9),
                }],
                tls_image: vec![1, 2],
                actions: vec![AllocActionPair {
                    finalize: AllocAction::new(addr(5), &7_u64),
                    dealloc: AllocAction::default(),
                }],
            },
        };
        let bytes = encode(&value);
        assert_eq!(decode(&bytes).as_ref(), Ok(&value));
        for end in 0..bytes.len() {
            assert!(decode::<Finalization>(&bytes[..end]).is_err());
        }
        let mut unknown = bytes;
        unknown[16] = 2;
        assert_eq!(
            decode::<Finalization>(&unknown),
            Err(SpsDecodeError::UnknownVariant {
                offset: 16,
                value: 2
            })
        );
    }

    #[test]
    fn libraries_and_programs() {
        check(&LoadedLibrary {
            path: "/lib/libc.so.6".into(),
            load_bias: addr(0x7f00),
            range: range(0x7f00),
        });
        let import = Import {
            name: b"puts".to_vec(),
            version: Some((b"GLIBC_2.2.5".to_vec(), b"libc.so.6".to_vec())),
            kind: ImportKind::TlsModuleAndOffset,
            weak: true,
        };
        check(&vec![Some(ImportValue {
            value: 1,
            tls_offset: 2,
        })]);
        check(&ProgramImage {
            needed: vec!["libm.so.6".into()],
            search_path: vec!["/opt".into()],
            search_path_for_all: true,
            exports: vec![Export {
                name: b"f".to_vec(),
                version: None,
                addr: addr(0x10),
                size: 3,
                kind: NativeKind::ThreadLocal,
                redirect_loaded: false,
            }],
            imports: vec![import],
            copies: vec![CopyRelocation {
                name: b"environ".to_vec(),
                library: "/lib/libc.so.6".into(),
                file_addr: 6,
                to: addr(0x20),
                size: 8,
                read_only: true,
            }],
            preinit_arrays: vec![range(0x50)],
            args: vec!["program".into()],
            executable_stack: true,
        });
    }
}
