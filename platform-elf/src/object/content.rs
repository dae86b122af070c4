//! Section content that cannot be borrowed from the file as it stands.

use std::io::Read;

use object::LittleEndian as LE;
use object::elf::{self, SectionHeader64};
use object::read::elf::{CompressionHeader, SectionHeader};

/// The most that one object's compressed sections may unpack to: half a range of memory.
pub(crate) const MAX_UNPACKED_SIZE: u64 = 1 << 29;

/// A compressed section, unpacked.
pub(crate) struct Unpacked {
    pub bytes: Vec<u8>,
    pub align: u64,
}

/// Unpacks a section of `file` with `SHF_COMPRESSED`, to at most `limit` bytes. `name` is for
/// messages.
///
/// # Errors
/// When the stream is damaged, of another size than its header says, or of an unknown kind.
pub(crate) fn unpack(
    file: &[u8],
    section: &SectionHeader64<LE>,
    name: impl Fn() -> String,
    limit: u64,
) -> Result<Unpacked, String> {
    let header = section.compression(LE, file);
    let Ok(Some((header, offset, size))) = header else {
        return Err(format!(
            "the header of the compressed section {} is truncated",
            name()
        ));
    };
    let stream = usize::try_from(offset)
        .ok()
        .zip(usize::try_from(size).ok())
        .and_then(|(offset, size)| file.get(offset..offset.checked_add(size)?))
        .ok_or_else(|| format!("the compressed section {} lies outside the file", name()))?;
    let size = header.ch_size(LE);
    if size > limit {
        return Err(format!(
            "the compressed section {} unpacks to {size} bytes, too many",
            name()
        ));
    }
    // One byte more than promised is asked for, so that a longer stream is noticed.
    let mut bytes = Vec::new();
    let result = match header.ch_type(LE) {
        elf::ELFCOMPRESS_ZLIB => flate2::read::ZlibDecoder::new(stream)
            .take(size + 1)
            .read_to_end(&mut bytes),
        elf::ELFCOMPRESS_ZSTD => match ruzstd::decoding::StreamingDecoder::new(stream) {
            Ok(decoder) => decoder.take(size + 1).read_to_end(&mut bytes),
            Err(error) => Err(std::io::Error::other(error)),
        },
        other => {
            return Err(format!(
                "the section {} is compressed by the unknown method {}: \
                 compile with -gz=zlib, -gz=zstd or -gz=none",
                name(),
                other.0
            ));
        }
    };
    result.map_err(|error| format!("the compressed section {} is damaged: {error}", name()))?;
    if bytes.len() as u64 != size {
        return Err(format!(
            "the compressed section {} is damaged: its size is not the {size} bytes it promises",
            name()
        ));
    }
    Ok(Unpacked {
        bytes,
        align: header.ch_addralign(LE),
    })
}

/// Appends the 8-byte words of `bytes` to `to`, last word first.
pub(crate) fn append_reversed_words(to: &mut Vec<u8>, bytes: &[u8]) {
    for word in bytes.rchunks_exact(8) {
        to.extend_from_slice(word);
    }
}
